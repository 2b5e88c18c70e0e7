# The header by which loaders of Multiboot2 know an image (Multiboot2 Specification 2.0, 3.1). They enter it as those
# of PVH do: 32-bit, paging off, EBX has the address of what is handed over; which of both that is its first word says.

.section .multiboot, "a", @progbits
.balign 8
1:  .long 0xe85250d6, 0, 2f - 1b        # magic, i386, length
    .long -(0xe85250d6 + 0 + (2f - 1b))
    .short 6, 0                         # modules begin at pages
    .long 8
    .short 0, 0                         # no more tags
    .long 8
2:
