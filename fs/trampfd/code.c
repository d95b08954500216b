// SPDX-License-Identifier: GPL-2.0
/*
 * trampfd: the code of a geometry, and how it is mapped.
 *
 * A geometry has one page of code, which every instance of it on the system maps
 * at every offset.  The page is mapped as those of the vDSO are: it is a plain
 * page outside of the page cache and of the LRU lists.  So nothing writes it
 * back, reclaims, migrates or merges it; it is no key of a futex, cachestat() has
 * nothing to count, and mincore() sees only the caller's own page tables.
 *
 * The alternative, a PFN mapping, has no reference counts.  But GUP does not
 * work on it, and so neither does ptrace() on architectures without
 * generic_access_phys(); and fork() copies its page tables.
 */
#include <linux/cacheflush.h>
#include <linux/gfp.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/page-flags.h>
#include <linux/page_ref.h>
#include <linux/pgtable.h>
#include <linux/rmap.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "internal.h"

/* The last page offset of code in a file */
#define TRAMPFD_LAST_PGOFF	(((pgoff_t)TRAMPFD_TABLE_OFFSET >> PAGE_SHIFT) - 1)

/* The code of each geometry that was asked for, by geometry_index() */
static DEFINE_XARRAY(trampfd_codes);

static unsigned long geometry_index(const struct trampfd_create_args *geometry)
{
	return geometry->abi | geometry->mode << 4 |
	       ilog2(geometry->stride) << 8 | geometry->data_reg << 12 |
	       geometry->scratch_reg << 18;
}

static_assert(TRAMPFD_NR_ABIS <= 16 && TRAMPFD_NR_MODES <= 16 &&
	      ilog2(TRAMPFD_STRIDE_MAX) < 16 && TRAMPFD_REG(31) < 1 << 6);

/*
 * Make a page of code.  It is written here and never again, so the D-cache and
 * the I-caches of all processors are made coherent here.  set_ptes() would do it
 * for a page that is mapped for the first time, but on riscv for the processors
 * of that process alone (flush_icache_pte()).
 */
static struct page *make_page(const struct trampfd_create_args *geometry)
{
	struct page *page = alloc_page(GFP_KERNEL_ACCOUNT);
	unsigned long addr;

	if (!page)
		return NULL;
	addr = (unsigned long)page_address(page);
	trampfd_generate(geometry, (void *)addr);
	flush_dcache_page(page);
	flush_icache_range(addr, addr + PAGE_SIZE);
	return page;
}

static void free_code(struct trampfd_code *code)
{
	put_page(code->page);
	kfree(code);
}

static struct trampfd_code *make_code(const struct trampfd_create_args *geometry)
{
	struct trampfd_code *code = kmalloc_obj(*code, GFP_KERNEL_ACCOUNT);

	if (!code)
		return NULL;
	code->geometry = *geometry;
	code->page = make_page(geometry);
	if (!code->page) {
		kfree(code);
		return NULL;
	}
	return code;
}

/**
 * trampfd_get_code() - get the code of a geometry, made if there is none yet
 * @geometry: A resolved request.
 *
 * Code is never freed: making it is a seventh of what a process pays that has one
 * trampoline, and the geometries of an architecture are less than 2400 pages.
 * It is charged to the cgroup that asked for it first.
 *
 * Return: The code, or NULL if there is no memory for it.
 */
struct trampfd_code *trampfd_get_code(const struct trampfd_create_args *geometry)
{
	unsigned long index = geometry_index(geometry);
	struct trampfd_code *code, *other;

	code = xa_load(&trampfd_codes, index);
	if (code)
		return code;
	code = make_code(geometry);
	if (!code)
		return NULL;
	other = xa_cmpxchg(&trampfd_codes, index, NULL, code, GFP_KERNEL_ACCOUNT);
	if (!other)
		return code;
	free_code(code);
	return xa_is_err(other) ? NULL : other;
}

static bool many_references(const struct page *page)
{
	return page_ref_count(page) > TRAMPFD_MAX_PAGE_REFS;
}

/* Whether the page may be mapped once more */
static bool can_share(const struct page *page)
{
	return !many_references(page) && !PageHWPoison(page);
}

/**
 * trampfd_get_page() - get a page of code to map
 * @code: The code of the instance.
 *
 * Return: The page of the geometry, with a reference.  If that page has too many
 * references: a page of the same contents for the caller alone.  If its memory
 * failed: a page that takes its place.  NULL if there is no memory for another.
 */
struct page *trampfd_get_page(struct trampfd_code *code)
{
	struct page *page = READ_ONCE(code->page), *new;

	if (likely(can_share(page))) {
		get_page(page);
		return page;
	}
	new = make_page(&code->geometry);
	/* The failed page keeps its reference: others may be about to map it. */
	if (new && PageHWPoison(page) &&
	    cmpxchg(&code->page, page, new) == page)
		get_page(new);
	return new;
}

static struct trampfd_code *vma_code(const struct vm_area_struct *vma)
{
	return vma->vm_file->private_data;
}

static vm_fault_t trampfd_fault(struct vm_fault *vmf)
{
	if (vmf->pgoff > TRAMPFD_LAST_PGOFF)
		return VM_FAULT_SIGBUS;
	vmf->page = trampfd_get_page(vma_code(vmf->vma));
	return vmf->page ? 0 : VM_FAULT_OOM;
}

/*
 * Map the page at every offset of a fault-around window that has no PTE, but for
 * the first page of a mapping map that one alone: most processes use no other.
 * Return 0 to have trampfd_fault() map it, if there is no page table yet.  The PTE
 * is the same for all, and never made old: nothing looks at its age.
 */
static vm_fault_t trampfd_map_pages(struct vm_fault *vmf, pgoff_t start,
				    pgoff_t end)
{
	struct vm_area_struct *vma = vmf->vma;
	struct page *page = READ_ONCE(vma_code(vma)->page);
	struct folio *folio = page_folio(page);
	unsigned long addr = vmf->address - (vmf->pgoff - start) * PAGE_SIZE;
	pte_t entry = mk_pte(page, vma->vm_page_prot);
	vm_fault_t ret = 0;
	int mapped = 0;

	if (vmf->address - vma->vm_start < PAGE_SIZE) {
		addr = vmf->address;
		start = vmf->pgoff;
		end = start;
	}
	end = min(end, TRAMPFD_LAST_PGOFF);
	if (start > end || unlikely(!can_share(page)))
		return 0;

	vmf->pte = pte_offset_map_lock(vma->vm_mm, vmf->pmd, addr, &vmf->ptl);
	if (!vmf->pte)
		return 0;
	for (; start <= end; start++, addr += PAGE_SIZE, vmf->pte++) {
		if (!pte_none(ptep_get(vmf->pte)))
			continue;
		folio_add_file_rmap_pte(folio, page, vma);
		set_pte_at(vma->vm_mm, addr, vmf->pte, entry);
		update_mmu_cache_range(vmf, vma, addr, vmf->pte, 1);
		mapped++;
		if (addr == vmf->address)
			ret = VM_FAULT_NOPAGE;
	}
	folio_ref_add(folio, mapped);
	add_mm_counter(vma->vm_mm, mm_counter_file(folio), mapped);
	pte_unmap_unlock(vmf->pte - 1, vmf->ptl);
	return ret;
}

/*
 * fork() leaves the page tables of code to the child's faults, except if the
 * mapping has guard regions.  Copying them takes references without a look at
 * the count: if the page has many, the child gets none of them, and no guards.
 */
static void trampfd_vma_open(struct vm_area_struct *vma)
{
	if (unlikely(many_references(READ_ONCE(vma_code(vma)->page))) &&
	    vma->vm_mm != current->mm)
		vma_clear_flags(vma, VMA_MAYBE_GUARD_BIT);
}

const struct vm_operations_struct trampfd_code_vm_ops = {
	.open		= trampfd_vma_open,
	.fault		= trampfd_fault,
	.map_pages	= trampfd_map_pages,
};
