// SPDX-License-Identifier: GPL-2.0
/*
 * trampfd: trampolines without executable memory of one's own.
 *
 * An instance is what a file descriptor refers to: an inode, for a security label
 * of its own, and a reference to the code of a geometry (code.c).  This file is
 * the system call and the rules of what may be mapped how.
 *
 * The table is not in the file system: mapping its range makes private
 * anonymous memory, as with /dev/zero.
 */
#include <linux/build_bug.h>
#include <linux/dcache.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/panic.h>
#include <linux/pseudo_fs.h>
#include <linux/sched.h>
#include <linux/security.h>
#include <linux/seq_file.h>
#include <linux/stat.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>

#include "internal.h"

static_assert(sizeof(struct trampfd_create_args) == TRAMPFD_CREATE_ARGS_SIZE_VER0);
static_assert(sizeof(struct trampfd_slot64) == 16);
static_assert(sizeof(struct trampfd_slot32) == 8);

static struct vfsmount *trampfd_mnt __ro_after_init;

static const struct trampfd_create_args *file_geometry(const struct file *file)
{
	const struct trampfd_code *code = file->private_data;

	return &code->geometry;
}

/*
 * Code is never writable: not by a later mprotect() either, nor by FOLL_FORCE,
 * which writes to private mappings that could become writable.  It is guarded
 * where the architecture can do that.
 *
 * Clear VM_MAYSHARE: otherwise mremap() with an old size of 0 gives a second
 * view of a shared mapping.
 */
static int trampfd_mmap_code(struct vm_area_desc *desc,
			     const struct trampfd_abi_desc *abi)
{
	if (vma_desc_test(desc, VMA_WRITE_BIT))
		return -EACCES;
	vma_desc_clear_flags(desc, VMA_MAYWRITE_BIT, VMA_MAYSHARE_BIT);
	if (abi->code_vma_flags)
		vma_desc_set_flags_mask(desc, abi->code_vma_flags());
	desc->vm_ops = &trampfd_code_vm_ops;
	return 0;
}

/*
 * The table is never executable.  READ_IMPLIES_EXEC adds PROT_EXEC to requests
 * that did not ask for it: not an error, but not granted.
 */
static int trampfd_mmap_table(struct vm_area_desc *desc)
{
	if (vma_desc_test(desc, VMA_MAYSHARE_BIT))
		return -EINVAL;
	if (vma_desc_test(desc, VMA_EXEC_BIT) &&
	    !(current->personality & READ_IMPLIES_EXEC))
		return -EACCES;
	vma_desc_clear_flags(desc, VMA_EXEC_BIT, VMA_MAYEXEC_BIT);
	vma_desc_set_anonymous(desc);
	return 0;
}

/*
 * Mappings of code and of table never merge, although they share the file and its
 * offsets: only code has VM_MAYEXEC, only the table VM_MAYWRITE.
 */
static int trampfd_mmap_prepare(struct vm_area_desc *desc)
{
	const struct trampfd_create_args *geometry = file_geometry(desc->file);
	u64 start = (u64)desc->pgoff << PAGE_SHIFT;
	u64 end = start + vma_desc_size(desc);

	if (end > geometry->table_offset + geometry->table_size)
		return -EINVAL;
	if (start >= geometry->table_offset)
		return trampfd_mmap_table(desc);
	return trampfd_mmap_code(desc, arch_trampfd_abi(geometry->abi));
}

static ssize_t trampfd_read(struct file *file, char __user *buf, size_t count,
			    loff_t *pos)
{
	struct page *page = trampfd_get_page(file->private_data);
	ssize_t ret;

	if (!page)
		return -ENOMEM;
	ret = simple_read_from_buffer(buf, count, pos, page_address(page),
				      PAGE_SIZE);
	put_page(page);
	return ret;
}

static loff_t trampfd_llseek(struct file *file, loff_t offset, int whence)
{
	return fixed_size_llseek(file, offset, whence, PAGE_SIZE);
}

static void trampfd_show_fdinfo(struct seq_file *m, struct file *file)
{
	const struct trampfd_create_args *geometry = file_geometry(file);

	seq_printf(m, "trampfd-abi:\t%u %s\n"
		   "trampfd-mode:\t%u\n"
		   "trampfd-data-reg:\t%u\n"
		   "trampfd-scratch-reg:\t%u\n"
		   "trampfd-stride:\t%u\n"
		   "trampfd-table-offset:\t%llu\n"
		   "trampfd-table-size:\t%llu\n",
		   geometry->abi, arch_trampfd_abi(geometry->abi)->name,
		   geometry->mode, geometry->data_reg, geometry->scratch_reg,
		   geometry->stride, geometry->table_offset,
		   geometry->table_size);
}

/* No ->read_iter(), so that there is no splice: a pipe would hold the page. */
static const struct file_operations trampfd_fops = {
	.llseek		= trampfd_llseek,
	.read		= trampfd_read,
	.mmap_prepare	= trampfd_mmap_prepare,
	.show_fdinfo	= trampfd_show_fdinfo,
};

/*
 * Make the inode of an instance: a regular file, as that of memfd_create() is,
 * with the label of an anonymous inode.  An anonymous inode (alloc_anon_inode())
 * would not do: the VFS requires SB_I_NOEXEC of its mount (S_ANON_INODE).
 *
 * Without i_fop, it cannot be opened again through /proc/PID/fd.  S_IMMUTABLE
 * refuses changes of its mode, owner, size, times and extended attributes.  Its
 * size is that of what can be mapped: userfaultfd fills a table no further.
 */
static struct inode *trampfd_make_inode(const struct trampfd_create_args *geometry)
{
	struct inode *inode = new_inode_pseudo(trampfd_mnt->mnt_sb);
	int err;

	if (!inode)
		return ERR_PTR(-ENOMEM);
	inode->i_ino = get_next_ino();
	inode->i_mode = S_IFREG | 0400;
	inode->i_uid = current_fsuid();
	inode->i_gid = current_fsgid();
	inode->i_flags |= S_IMMUTABLE;
	simple_inode_init_ts(inode);
	i_size_write(inode, geometry->table_offset + geometry->table_size);

	err = security_inode_init_security_anon(inode, &QSTR("[trampfd]"), NULL);
	if (err) {
		iput(inode);
		return ERR_PTR(err);
	}
	return inode;
}

/**
 * trampfd_create_file() - make an instance
 * @geometry: A resolved request.
 *
 * FMODE_PREAD and FMODE_PWRITE: it has positions, so that pwrite() is EBADF, as
 * for any file that is not open for writing.  FMODE_NOREUSE: unmapping does not
 * mark the page of code as accessed.  That would write to the flags of a page
 * that all processors share, for a reclaim that never comes.
 *
 * Return: A file, or an ERR_PTR(): -ENOMEM, -ENFILE, or what a security module
 * says.
 */
struct file *trampfd_create_file(const struct trampfd_create_args *geometry)
{
	struct trampfd_code *code;
	struct inode *inode;
	struct file *file;

	code = trampfd_get_code(geometry);
	if (!code)
		return ERR_PTR(-ENOMEM);
	inode = trampfd_make_inode(geometry);
	if (IS_ERR(inode))
		return ERR_CAST(inode);
	file = alloc_file_pseudo(inode, trampfd_mnt, "[trampfd]", O_RDONLY,
				 &trampfd_fops);
	if (IS_ERR(file)) {
		iput(inode);
		return file;
	}
	file->private_data = code;
	file->f_mode |= FMODE_PREAD | FMODE_PWRITE | FMODE_NOREUSE;
	return file;
}

/**
 * sys_trampfd_create - Create a file of trampolines
 * @uargs: Request and answer.
 * @size: Size of what @uargs points to, in bytes.
 *
 * See &struct trampfd_create_args for what can be asked for, the answer, and
 * each error.
 *
 * Return: A file descriptor, or a negative error code.
 */
SYSCALL_DEFINE2(trampfd_create, struct trampfd_create_args __user *, uargs,
		size_t, size)
{
	struct trampfd_create_args args;
	int err;

	if (size < TRAMPFD_CREATE_ARGS_SIZE_VER0)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	err = copy_struct_from_user(&args, sizeof(args), uargs, size);
	if (err)
		return err;
	err = trampfd_resolve(&args);
	if (err)
		return err;

	FD_PREPARE(fdf, O_CLOEXEC, trampfd_create_file(&args));
	if (fdf.err)
		return fdf.err;
	err = copy_struct_to_user(uargs, size, &args, sizeof(args), NULL);
	if (err)
		return err;
	return fd_publish(fdf);
}

static char *trampfd_dname(struct dentry *dentry, char *buffer, int buflen)
{
	return dynamic_dname(buffer, buflen, "anon_inode:%s",
			     dentry->d_name.name);
}

static const struct dentry_operations trampfd_dentry_operations = {
	.d_dname	= trampfd_dname,
};

static const struct super_operations trampfd_super_operations = {
	.statfs		= simple_statfs,
	.drop_inode	= inode_just_drop,
};

static int trampfd_init_fs_context(struct fs_context *fc)
{
	struct pseudo_fs_context *ctx = init_pseudo(fc, TRAMPFD_MAGIC);

	if (!ctx)
		return -ENOMEM;
	/* What it holds is there to be executed, and has no time of access. */
	fc->s_iflags &= ~SB_I_NOEXEC;
	fc->sb_flags |= SB_NOATIME;
	ctx->ops = &trampfd_super_operations;
	ctx->dops = &trampfd_dentry_operations;
	return 0;
}

static struct file_system_type trampfd_fs_type = {
	.name		= "trampfd",
	.init_fs_context = trampfd_init_fs_context,
	.kill_sb	= kill_anon_super,
};

static int __init trampfd_init(void)
{
	trampfd_mnt = kern_mount(&trampfd_fs_type);
	if (IS_ERR(trampfd_mnt))
		panic("trampfd: cannot mount: %pe\n", trampfd_mnt);
	return 0;
}
fs_initcall(trampfd_init);
