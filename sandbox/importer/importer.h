/* How croft-importer is started; between sandbox/image_import.c and importer/main.c. */
#pragma once

/*
 * croft-importer BYTES ENTRIES INIT REFERENCE SNAPSHOTS ALL-BYTES ALL-ENTRIES, as root of a user
 * namespace of its own, with these descriptors and no others. It answers with struct image_report,
 * the last of them final. When that one has a config_size, a message of so many bytes follows
 * (image_config_write()). For each snapshot it sends a report and then its struct snapshot_row, and
 * is answered with a byte and the directory for it.
 */
#define IMPORTER_ARCHIVE_FD 0 /* the archive, read from front to back */
#define IMPORTER_REPORT_FD  3 /* SOCK_SEQPACKET */
#define IMPORTER_TREE_FD    4 /* the target: a detached, id-mapped mount that becomes the root */
