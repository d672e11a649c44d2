/*
 * An image in two archives, as LXD and Incus split them, sent as one: a tar of these two files in
 * this order. Made by croft, read by croft-importer.
 */
#pragma once

#define SPLIT_IMAGE_METADATA "croft.split/metadata"
#define SPLIT_IMAGE_ROOTFS   "croft.split/rootfs"
