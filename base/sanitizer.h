/*
 * Whether AddressSanitizer is built in. It reserves terabytes of addresses and makes system calls
 * of its own, so a process that fences itself in must leave it those.
 */
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif
