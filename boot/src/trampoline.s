# The first instructions of a processor that another one has started: copied to a page below 1 MiB, where it
# begins in real mode, and from there in one step to long mode with the kernel's own address space.
# AT&T syntax: it has a name for what is 32 bits wide in 16-bit code.

.section .rodata.reflex_trampoline, "a", @progbits
.global reflex_trampoline
.global reflex_trampoline_entry             # filled in: where it leads
.global reflex_trampoline_root              # filled in: where the address space's root is
.global reflex_trampoline_end
.balign 8
.code16
reflex_trampoline:
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    lgdtl (4f - reflex_trampoline)
    movl %cr4, %eax
    orl $0x620, %eax                    # PAE, OSFXSR, OSXMMEXCPT
    movl %eax, %cr4
    movl (reflex_trampoline_root - reflex_trampoline), %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx              # EFER: LME, NXE
    rdmsr
    orl $0x900, %eax
    wrmsr
    movl $0x80010033, %eax              # PG, WP, NE, ET, MP, PE
    movl %eax, %cr0
    # A far jump with a 32-bit offset, to selector 8.
    .byte 0x66, 0xea
reflex_trampoline_entry:
    .long 0
    .word 8

.balign 4
reflex_trampoline_root:
    .long 0
4:  .word 23
    .long reflex_boot_gdt
reflex_trampoline_end:
.code64
.text
