/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Targets of trampolines: each stores its data in `seen`. target_text first does the same
 * as libffi's alternate entries, such as ffi_closure_unix64_alt. target_context reads all
 * three words of a struct context (abi.h).
 */
	.text

.macro function name
	.globl \name
#ifdef ABI_arm
	.type \name, %function
#else
	.type \name, @function
#endif
	.balign 16
\name:
.endm

#if defined(ABI_x86_64)

function target_pop
	ud2
function target_nothing
	endbr64
	ret
function target_push
	ud2
function target_slot
	endbr64
	mov (%r10), %r10
	mov %r10, %fs:seen@tpoff
	ret
function target_context
	endbr64
	mov 32(%r10), %rax
	mov 40(%r10), %rcx
	mov 48(%r10), %r10
	mov %r10, %fs:seen@tpoff
	ret
function target_text
	endbr64
	mov 8(%rsp), %r10
	add $16, %rsp
	jmp target_data
function target_data
	endbr64
	mov %r10, %fs:seen@tpoff
	ret

#elif defined(ABI_i386)

function target_pop
	endbr32
	pop %eax
	ret
function target_nothing
	endbr32
	ret
function target_push
	endbr32
	mov (%eax), %eax
	mov %eax, %gs:seen@ntpoff
	pop %eax
	ret
function target_slot
	endbr32
	mov (%ecx), %ecx
	mov %ecx, %gs:seen@ntpoff
	ret
function target_context
	endbr32
	mov 16(%ecx), %eax
	mov 20(%ecx), %edx
	mov 24(%ecx), %ecx
	mov %ecx, %gs:seen@ntpoff
	ret
function target_text
	endbr32
	mov 4(%esp), %ecx
	add $8, %esp
	jmp target_data
function target_data
	endbr32
	mov %ecx, %gs:seen@ntpoff
	ret

#elif defined(ABI_arm64)

function target_pop
	udf #0
function target_nothing
	hint #34
	ret
function target_push
	udf #0
function target_slot
	hint #34			/* bti c */
	ldr x17, [x17]
	adrp x16, seen
	str x17, [x16, :lo12:seen]
	ret
function target_context
	hint #34
	ldp x9, x10, [x17, #32]
	ldr x17, [x17, #48]
	adrp x16, seen
	str x17, [x16, :lo12:seen]
	ret
function target_text
	hint #34
	ldr x17, [sp, #8]
	add sp, sp, #16
	b target_data
function target_data
	hint #34
	adrp x16, seen
	str x17, [x16, :lo12:seen]
	ret

#elif defined(ABI_arm)

	.arm
function target_pop
	udf #0
function target_nothing
	bx lr
function target_push
	udf #0
function target_slot
	ldr r12, [r12]
	ldr r3, =seen
	str r12, [r3]
	bx lr
function target_context
	ldr r0, [r12, #16]
	ldr r1, [r12, #20]
	ldr r12, [r12, #24]
	ldr r3, =seen
	str r12, [r3]
	bx lr
function target_text
	ldr r12, [sp, #4]
	add sp, sp, #8
	b target_data
function target_data
	ldr r3, =seen
	str r12, [r3]
	bx lr
	.ltorg

#elif defined(ABI_riscv64)

function target_pop
	unimp
function target_nothing
	ret
function target_push
	unimp
function target_slot
	ld t3, (t3)
	sd t3, seen, t1
	ret
function target_context
	ld t4, 32(t3)
	ld t5, 40(t3)
	ld t3, 48(t3)
	sd t3, seen, t1
	ret
function target_text
	unimp
function target_data
	sd t3, seen, t1
	ret

#elif defined(ABI_ppc64le)

	.abiversion 2
function target_pop
	trap
function target_nothing
	blr
function target_push
	trap
function target_slot
	ld 11, 0(11)
	addis 12, 2, seen@toc@ha
	std 11, seen@toc@l(12)
	blr
function target_context
	ld 9, 32(11)
	ld 10, 40(11)
	ld 11, 48(11)
	addis 12, 2, seen@toc@ha
	std 11, seen@toc@l(12)
	blr
function target_text
	trap
function target_data
	addis 12, 2, seen@toc@ha
	std 11, seen@toc@l(12)
	blr

#elif defined(ABI_s390x)

function target_pop
	.short 0
function target_nothing
	br %r14
function target_push
	.short 0
function target_slot
	lgr %r1, %r0
	lg %r0, 0(%r1)
	stgrl %r0, seen
	br %r14
function target_context
	lgr %r1, %r0
	lg %r2, 32(%r1)
	lg %r3, 40(%r1)
	lg %r0, 48(%r1)
	stgrl %r0, seen
	br %r14
function target_text
	.short 0
function target_data
	stgrl %r0, seen
	br %r14

#elif defined(ABI_loongarch64)

function target_pop
	break 0
function target_nothing
	jr $ra
function target_push
	break 0
function target_slot
	ld.d $t8, $t8, 0
	pcalau12i $t0, %pc_hi20(seen)
	st.d $t8, $t0, %pc_lo12(seen)
	jr $ra
function target_context
	ld.d $t1, $t8, 32
	ld.d $t2, $t8, 40
	ld.d $t8, $t8, 48
	pcalau12i $t0, %pc_hi20(seen)
	st.d $t8, $t0, %pc_lo12(seen)
	jr $ra
function target_text
	break 0
function target_data
	pcalau12i $t0, %pc_hi20(seen)
	st.d $t8, $t0, %pc_lo12(seen)
	jr $ra

#endif

	.section .note.GNU-stack, "", %progbits
