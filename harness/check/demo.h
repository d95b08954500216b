/* SPDX-License-Identifier: GPL-2.0 */

/* main() of samples/trampfd/closures.c */
int sample(int argc, char *argv[]);
