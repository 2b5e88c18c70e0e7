#include "verbs.h"

#include <stdio.h>
#include <string.h>

int main(int count, char **words)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (count == 3 && !strcmp(words[1], "server"))
        return serve(words[2]);
    if ((count == 3 || count == 4) && !strcmp(words[1], "client"))
        return run_cases(words[2], count == 4 ? words[3] : "");
    fprintf(stderr, "usage: verbs server ADDRESS | verbs client ADDRESS [PREFIX]\n");
    return 2;
}
