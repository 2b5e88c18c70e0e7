# The PVH entry: 32-bit, paging off, EBX has the start info's address.
# Makes a first identity map of 4 GiB, turns SSE and long mode on, and calls Rust.

.section .note.pvh, "a", @note
.balign 4
    .long 4, 4, 18                      # lengths of name and value; XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long reflex_entry

.section .text.reflex_entry, "ax", @progbits
.code32
.global reflex_entry
reflex_entry:
    cli
    cld
    # Not every loader clears it, and on a very small machine the firmware may have used it.
    mov edi, offset reflex_bss_start
    mov ecx, offset reflex_image_end
    sub ecx, edi
    shr ecx, 2
    xor eax, eax
    rep stosd
    mov edi, ebx                        # the start info, the first argument later on

    # One page of upper entries, four pages of 2 MiB entries: present, writable.
    mov eax, offset reflex_boot_tables + 0x1003
    mov [reflex_boot_tables], eax
    mov ecx, 4
    mov edx, offset reflex_boot_tables + 0x1000
    add eax, 0x1000
2:  mov [edx], eax
    add eax, 0x1000
    add edx, 8
    dec ecx
    jnz 2b
    mov edx, offset reflex_boot_tables + 0x2000
    mov eax, 0x83                       # present, writable, 2 MiB
    mov ecx, 2048
3:  mov [edx], eax
    add eax, 0x200000
    add edx, 8
    dec ecx
    jnz 3b

    mov eax, offset reflex_boot_tables
    mov cr3, eax
    mov eax, cr4
    or eax, 0x620                       # PAE, OSFXSR, OSXMMEXCPT
    mov cr4, eax
    mov ecx, 0xc0000080                 # EFER: LME
    rdmsr
    or eax, 0x100
    wrmsr
    mov eax, cr0
    and eax, 0xfffffff3                 # EM and TS off
    or eax, 0x80000023                  # PG, NE, MP, PE
    mov cr0, eax
    lgdt [reflex_boot_gdt_pointer]
    # Intel syntax has no name for it: a far jump to selector 8.
    .byte 0xea
    .long 4f
    .word 8

.code64
4:  mov ax, 16
    mov ds, ax
    mov es, ax
    mov ss, ax
    xor eax, eax
    mov fs, ax
    mov gs, ax
    lea rsp, reflex_boot_stack_top[rip]
    mov edi, edi
    xor ebp, ebp
    call reflex_start
    ud2

.section .rodata.reflex_boot_gdt, "a", @progbits
.balign 8
.global reflex_boot_gdt
reflex_boot_gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
reflex_boot_gdt_pointer:
    .word 23
    .long reflex_boot_gdt

.section .bss.reflex_boot, "aw", @nobits
.balign 4096
.global reflex_boot_tables
reflex_boot_tables:
    .skip 6 * 4096
.global reflex_boot_stack_guard
reflex_boot_stack_guard:
    .skip 4096
    .skip 128 * 1024
.global reflex_boot_stack_top
reflex_boot_stack_top:
.text
