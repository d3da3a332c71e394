/* commands.h - the commands of polluxctl, a file each. Each is called with the store open, if it
 * needs one, says itself what fails, and returns the program's exit status (enum ctl_exit). */
#ifndef POLLUX_CTL_COMMANDS_H
#define POLLUX_CTL_COMMANDS_H

#include "ctl/ctl.h"

/* what was said, in C->argument or anywhere; follows if asked to */
int ctl_log(struct ctl *c);
int ctl_show(struct ctl *c);            /* everything on the message numbered C->argument */
int ctl_channels(struct ctl *c);        /* the channels that exist */
int ctl_who(struct ctl *c);             /* their members */
/* what was said in C->argument as a Mermaid sequence diagram */
int ctl_diagram(struct ctl *c);
int ctl_close(struct ctl *c);           /* end the channel C->argument; writes */
int ctl_gc(struct ctl *c);              /* remove what need not be kept any longer; writes */
int ctl_stats(struct ctl *c);           /* how much there is, what each process has done */
int ctl_check(struct ctl *c);           /* look for what does not fit together */
int ctl_codes(struct ctl *c);           /* what the log's codes mean; asks no store */

#endif
