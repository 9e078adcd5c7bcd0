/* The one header; copy it beside this file in a project of your own. */
#include "../../../../../attest-client/c-abi/include/assay.h"
