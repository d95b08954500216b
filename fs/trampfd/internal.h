/* SPDX-License-Identifier: GPL-2.0 */
/*
 * trampfd: interfaces between the files of this directory.
 */
#ifndef _TRAMPFD_INTERNAL_H
#define _TRAMPFD_INTERNAL_H

#include <linux/trampfd.h>

struct file;
struct page;
struct vm_operations_struct;

/**
 * struct trampfd_code - the code of a geometry, shared by all its instances
 * @page: The one page of code.  It has a reference, and each PTE has another.
 * @geometry: A resolved request.
 */
struct trampfd_code {
	struct page *page;
	struct trampfd_create_args geometry;
};

/*
 * Above this many references, a page of code is not shared further.  The counts
 * of a page (struct page) wrap at INT_MAX.  The other half is room for references
 * that are taken after the check: by a fault-around window on each processor, and
 * by pins, which GUP checks itself.
 */
#define TRAMPFD_MAX_PAGE_REFS	(INT_MAX / 2)

/* geometry.c */
int trampfd_resolve(struct trampfd_create_args *args);
void trampfd_generate(const struct trampfd_create_args *geometry, void *page);

/* code.c */
struct trampfd_code *trampfd_get_code(const struct trampfd_create_args *geometry);
struct page *trampfd_get_page(struct trampfd_code *code);
extern const struct vm_operations_struct trampfd_code_vm_ops;

/* inode.c */
struct file *trampfd_create_file(const struct trampfd_create_args *geometry);

#endif /* _TRAMPFD_INTERNAL_H */
