/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */
/*
 * libtrampfd: each ABI has a text_*.S of its own.
 */
#if defined(__x86_64__) && !defined(__ILP32__)
#include "text_x86_64.S"
#elif defined(__i386__)
#include "text_i386.S"
#elif defined(__aarch64__) && !defined(__ILP32__)
#include "text_arm64.S"
#elif defined(__arm__)
#include "text_arm.S"
#elif defined(__riscv) && __riscv_xlen == 64
#include "text_riscv64.S"
#else
#error "this ABI has no text_*.S"
#endif
