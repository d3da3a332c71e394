/* places.c - the system's list of users, the program's own file, and what is where. */
#include "base/places.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_NAME "pollux.conf"
#define CONFIG_SYSTEM "/etc/" CONFIG_NAME
#define STORE_NAME "pollux-data"
#define STORE_SYSTEM "/var/lib/pollux"

/* FOLDER, given or NULL, and NAME in it. */
static char *join(char *folder, const char *name)
{
    struct buf path = BUF_EMPTY;
    char *text = NULL;

    if (folder == NULL)
        return NULL;
    buf_addf(&path, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, name);
    if (buf_ok(&path))
        text = strdup(buf_text(&path));
    buf_release(&path);
    free(folder);
    return text;
}

static bool is_directory(const char *path)
{
    struct stat st;

    return path != NULL && path[0] == '/' && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The home of user UID as the list of users has it: a copy, or NULL. A static program cannot ask
 * the system's own library, which loads what is installed for that: it reads the list itself. */
static char *listed_home(uid_t uid)
{
    struct passwd entry, *user = NULL;
    char text[4096];

#ifdef STATIC_PROGRAM
    FILE *list = fopen("/etc/passwd", "re");

    while (list != NULL && fgetpwent_r(list, &entry, text, sizeof text, &user) == 0
           && user->pw_uid != uid)
        user = NULL;
    if (list != NULL)
        fclose(list);
#else
    if (getpwuid_r(uid, &entry, text, sizeof text, &user) != 0)
        return NULL;
#endif
    return user != NULL && is_directory(user->pw_dir) ? strdup(user->pw_dir) : NULL;
}

char *places_home(void)
{
    const char *named = getenv("HOME");
    char *home = listed_home(geteuid());

    if (home == NULL && named != NULL && is_directory(named))
        home = strdup(named);
    return home;
}

char *places_program(void)
{
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);

    if (len <= 0 || path[0] != '/')
        return NULL;
    path[len] = '\0';
    char *slash = strrchr(path, '/');
    slash[slash == path] = '\0';
    return strdup(path);
}

/* PATH, given or NULL, if there is such a file; else it is freed. What is there and cannot be read
 * is there: to pass it over would be to serve with settings that nobody chose. */
static char *if_there(char *path)
{
    struct stat st;

    if (path != NULL && stat(path, &st) == 0 && S_ISREG(st.st_mode))
        return path;
    free(path);
    return NULL;
}

char *places_config(void)
{
    char *file = if_there(join(places_program(), CONFIG_NAME));

    if (file == NULL)
        file = if_there(join(places_home(), CONFIG_NAME));
    if (file == NULL)
        file = if_there(strdup(CONFIG_SYSTEM));
    return file;
}

char *places_store(struct buf *why)
{
    if (is_directory(STORE_SYSTEM) && access(STORE_SYSTEM, W_OK | X_OK) == 0)
        return strdup(STORE_SYSTEM);
    char *home = places_home();
    if (home == NULL) {
        buf_addf(why,
                 "cannot find a place for the store: %s is not there or cannot be written, and the "
                 "user %ld has no home directory; name a directory with the key `store`",
                 STORE_SYSTEM, (long)geteuid());
        return NULL;
    }
    char *store = join(home, STORE_NAME);
    if (store == NULL)
        buf_add_text(why, "cannot find a place for the store: out of memory");
    return store;
}

/* ---- what lies in what */

/* PATH without links, as far as it exists, into OUT. False: not even its beginning does. */
static bool follow(const char *path, char out[PATH_MAX])
{
    char begin[PATH_MAX];
    size_t len = strlen(path);

    if (len >= sizeof begin || path[0] != '/')
        return false;
    memcpy(begin, path, len + 1);
    while (realpath(begin, out) == NULL) {
        char *slash = strrchr(begin, '/');
        if (errno != ENOENT || slash == begin)
            return false;
        *slash = '\0';
    }
    size_t known = strlen(begin), at = strlen(out);
    if (at + len - known >= PATH_MAX)
        return false;
    memcpy(out + at, path + known, len - known + 1);
    return true;
}

bool places_is_below(const char *path, const char *folder)
{
    char inner[PATH_MAX], outer[PATH_MAX];

    if (!follow(path, inner) || realpath(folder, outer) == NULL)
        return false;
    size_t len = strcmp(outer, "/") == 0 ? 0 : strlen(outer);
    return strncmp(inner, outer, len) == 0 && (inner[len] == '/' || inner[len] == '\0');
}
