// SPDX-License-Identifier: GPL-2.0
/*
 * trampfd: trampolines without executable memory of one's own.
 *
 * The code that the kernel generates is a small file system of two kinds of
 * inode:
 *
 * - A *code object* is the address space of one geometry: ->read_folio()
 *   generates a page.  Instances of the same geometry share it, whoever made
 *   them; the last takes it with it.  Faults, fault-around, read(), reclaim,
 *   migration, mlock and accounting are those of the page cache.
 *
 * - An *instance* is what a file descriptor refers to: an inode of its own, for
 *   a security label of its own, and the rules of what may be mapped how.  The
 *   file's f_mapping is the code object's, as a block device's is the bdev's.
 *
 * The table is not in the file system: mapping its range makes private
 * anonymous memory, as with /dev/zero.
 */
#include <linux/bitops.h>
#include <linux/build_bug.h>
#include <linux/dcache.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/init.h>
#include <linux/log2.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/pseudo_fs.h>
#include <linux/sched.h>
#include <linux/security.h>
#include <linux/seq_file.h>
#include <linux/stat.h>
#include <linux/syscalls.h>
#include <linux/trampfd.h>
#include <linux/uaccess.h>

static_assert(sizeof(struct trampfd_create_args) == TRAMPFD_CREATE_ARGS_SIZE_VER0);
static_assert(sizeof(struct trampfd_slot64) == 16);
static_assert(sizeof(struct trampfd_slot32) == 8);

static struct vfsmount *trampfd_mnt __ro_after_init;

/*
 * The inode number of a code object is its geometry.  So the inode cache finds
 * the code object of a geometry, and nothing else has to be kept in it.
 */
union trampfd_ino {
	struct {
		u32 abi : 3;
		u32 mode : 2;
		u32 data_reg : 6;
		u32 scratch_reg : 6;
		u32 log2_nr : 4;
		u32 zero : 11;
	};
	u32 number;
};

static_assert(TRAMPFD_NR_ABIS <= 1 << 3 && TRAMPFD_NR_MODES <= 1 << 2 &&
	      TRAMPFD_REG(31) < 1 << 6 && ilog2(TRAMPFD_NR_MAX) < 1 << 4);

static unsigned long trampfd_ino(const struct trampfd_create_args *geometry)
{
	union trampfd_ino ino = {
		.abi = geometry->abi,
		.mode = geometry->mode,
		.data_reg = geometry->data_reg,
		.scratch_reg = geometry->scratch_reg,
		.log2_nr = __ffs(geometry->nr),
	};

	return ino.number;
}

static struct trampfd_create_args trampfd_geometry(struct address_space *mapping)
{
	union trampfd_ino ino = { .number = mapping->host->i_ino };
	struct trampfd_create_args geometry = {
		.abi = ino.abi,
		.mode = ino.mode,
		.data_reg = ino.data_reg,
		.scratch_reg = ino.scratch_reg,
		.nr = 1U << ino.log2_nr,
	};

	WARN_ON_ONCE(trampfd_resolve(&geometry));
	return geometry;
}

/*
 * Generate the pages of a folio.
 *
 * Where instruction caches do not see what data caches hold (arm64, arm, riscv),
 * the two are brought together as for every file that is executed, when a page
 * of it is mapped: set_ptes(), or update_mmu_cache_range(), cleans a folio that is
 * not known to be clean (PG_dcache_clean) before it can be executed.  A folio is
 * new when it comes here, with that flag clear, also where the same code is
 * generated again after reclaim, and it is never written to again; a copy made
 * by migration is another new folio.  flush_dcache_folio() tells the architecture
 * that the kernel wrote to it (Documentation/core-api/cachetlb.rst).
 */
static int trampfd_read_folio(struct file *file, struct folio *folio)
{
	struct trampfd_create_args geometry = trampfd_geometry(folio->mapping);
	size_t offset;

	for (offset = 0; offset < folio_size(folio); offset += PAGE_SIZE) {
		void *page = kmap_local_folio(folio, offset);

		trampfd_generate(&geometry, folio_pos(folio) + offset, page,
				 PAGE_SIZE);
		kunmap_local(page);
	}
	flush_dcache_folio(folio);
	folio_end_read(folio, true);
	return 0;
}

static const struct address_space_operations trampfd_aops = {
	.read_folio	= trampfd_read_folio,
	.dirty_folio	= noop_dirty_folio,
	.migrate_folio	= filemap_migrate_folio,
};

/*
 * Get a reference to the code object of a geometry, NULL if there is no memory.
 * Security modules are not asked about it (S_PRIVATE), but about its instances.
 */
static struct inode *trampfd_get_code(const struct trampfd_create_args *geometry)
{
	struct inode *code = iget_locked(trampfd_mnt->mnt_sb,
					 trampfd_ino(geometry));

	if (code && (inode_state_read_once(code) & I_NEW)) {
		code->i_flags |= S_PRIVATE;
		code->i_mapping->a_ops = &trampfd_aops;
		mapping_set_large_folios(code->i_mapping);
		i_size_write(code, geometry->code_size);
		unlock_new_inode(code);
	}
	return code;
}

/*
 * Code is never writable, by no later mprotect() either, nor by FOLL_FORCE,
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
	return generic_file_mmap_prepare(desc);
}

/*
 * The table is never executable.  READ_IMPLIES_EXEC asks for PROT_EXEC in the
 * name of programs that did not: not an error, but not granted.
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
 * A mapping of code and one of the table never merge, although they have the
 * file and its offsets in common: VM_MAYEXEC is the code's, VM_MAYWRITE the
 * table's.
 */
static int trampfd_mmap_prepare(struct vm_area_desc *desc)
{
	struct trampfd_create_args geometry = trampfd_geometry(desc->file->f_mapping);
	u64 start = (u64)desc->pgoff << PAGE_SHIFT;
	u64 end = start + vma_desc_size(desc);

	if (end > geometry.table_offset + geometry.table_size)
		return -EINVAL;
	if (start >= geometry.table_offset)
		return trampfd_mmap_table(desc);
	return trampfd_mmap_code(desc, arch_trampfd_abi(geometry.abi));
}

static void trampfd_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct trampfd_create_args geometry = trampfd_geometry(file->f_mapping);

	seq_printf(m, "trampfd-abi:\t%u %s\n", geometry.abi,
		   arch_trampfd_abi(geometry.abi)->name);
	seq_printf(m, "trampfd-mode:\t%u\n", geometry.mode);
	seq_printf(m, "trampfd-data-reg:\t%u\n", geometry.data_reg);
	seq_printf(m, "trampfd-scratch-reg:\t%u\n", geometry.scratch_reg);
	seq_printf(m, "trampfd-nr:\t%u\n", geometry.nr);
	seq_printf(m, "trampfd-code-stride:\t%u\n", geometry.code_stride);
	seq_printf(m, "trampfd-table-stride:\t%u\n", geometry.table_stride);
	seq_printf(m, "trampfd-code-size:\t%llu\n", geometry.code_size);
	seq_printf(m, "trampfd-table-offset:\t%llu\n", geometry.table_offset);
	seq_printf(m, "trampfd-table-size:\t%llu\n", geometry.table_size);
}

static int trampfd_release(struct inode *inode, struct file *file)
{
	iput(file->f_mapping->host);
	return 0;
}

/* No ->splice_read(): what is spliced is a page, not a copy of it. */
static const struct file_operations trampfd_fops = {
	.llseek		= generic_file_llseek,
	.read_iter	= generic_file_read_iter,
	.mmap_prepare	= trampfd_mmap_prepare,
	.release	= trampfd_release,
	.show_fdinfo	= trampfd_show_fdinfo,
};

/* An instance cannot be changed: not its mode, and not its size by truncate(). */
static int trampfd_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
			   struct iattr *attr)
{
	return -EOPNOTSUPP;
}

static const struct inode_operations trampfd_iops = {
	.setattr	= trampfd_setattr,
};

/*
 * Make the inode of an instance, a regular file as that of memfd_create() is.
 *
 * An anonymous inode (alloc_anon_inode()) is not to be executed: the VFS holds
 * S_ANON_INODE against a mount without SB_I_NOEXEC.  The label is the one that
 * an anonymous inode gets.
 *
 * It can not be opened again through /proc/PID/fd, as it has no i_fop.  Its size
 * is that of what can be mapped; userfaultfd looks at it when it fills a table.
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
	inode->i_op = &trampfd_iops;
	simple_inode_init_ts(inode);
	i_size_write(inode, geometry->table_offset + geometry->table_size);

	err = security_inode_init_security_anon(inode, &QSTR("[trampfd]"), NULL);
	if (err) {
		iput(inode);
		return ERR_PTR(err);
	}
	return inode;
}

/*
 * Make an instance.  Code is read ahead as that of a file on a disk is, which a
 * file system without a device has to ask for.
 */
static struct file *trampfd_create_file(const struct trampfd_create_args *geometry)
{
	struct inode *code, *inode;
	struct file *file;

	code = trampfd_get_code(geometry);
	if (!code)
		return ERR_PTR(-ENOMEM);

	inode = trampfd_make_inode(geometry);
	if (IS_ERR(inode)) {
		file = ERR_CAST(inode);
		goto err_put_code;
	}

	file = alloc_file_pseudo(inode, trampfd_mnt, "[trampfd]", O_RDONLY,
				 &trampfd_fops);
	if (IS_ERR(file))
		goto err_put_inode;

	file->f_mapping = code->i_mapping;
	file->f_mode |= FMODE_PREAD | FMODE_PWRITE;
	file_ra_state_init(&file->f_ra, file->f_mapping);
	file->f_ra.ra_pages = VM_READAHEAD_PAGES;
	return file;

err_put_inode:
	iput(inode);
err_put_code:
	iput(code);
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
	return PTR_ERR_OR_ZERO(trampfd_mnt);
}
fs_initcall(trampfd_init);
