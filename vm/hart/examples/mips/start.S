# Floating point on, a stack, memory zeroed.
    .section .start
    .globl _start
_start:
    li t0, 0x6000
    csrs mstatus, t0
    la sp, stack_top
    la t0, bss_start
    la t1, bss_end
zero:
    sd zero, 0(t0)
    addi t0, t0, 8
    bltu t0, t1, zero
    call run

    .bss
    .balign 16
    .space 65536
stack_top:
