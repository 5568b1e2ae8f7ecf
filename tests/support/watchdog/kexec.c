/* Loads a crash kernel: KERNEL INITRD COMMAND-LINE. The kernel does the rest; Debian's kexec-tools would bring the libraries
 * of Xen along, and hooks into the reboot of whoever installs them. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/kexec.h */
#define KEXEC_FILE_ON_CRASH 2

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    int kernel = open(argv[1], O_RDONLY), initrd = open(argv[2], O_RDONLY);
    if (kernel < 0 || initrd < 0) {
        perror("open");
        return 1;
    }
    unsigned long flags = KEXEC_FILE_ON_CRASH;
    if (syscall(SYS_kexec_file_load, kernel, initrd, strlen(argv[3]) + 1, argv[3], flags) != 0) {
        perror("kexec_file_load");
        return 1;
    }
    puts("GUEST crash kernel is loaded");
    return 0;
}
