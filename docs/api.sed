# SPDX-License-Identifier: Apache-2.0
# How doxygen is to read a header (see Doxyfile); every line keeps its number.

# The comment at the head is the file's, and its first sentence the brief.
1,/^#pragma once/{
  s|\\|\\\\|g
  s|^//|///|
}
1s|.*|/// @file|

# What a comment indents is a formula, which stands as it is.
s|^( *///)(  +)|\1\2\2|

# A sentence in the margin is that of every name its line declares.
:next
s@(^ *|\*/ )(([a-z]+ )*[A-Za-z:_]+(<[^;()]*>)?) ([a-z_0-9]+)( = [^,;]*)?, ([^;()]+;) +///< (.*)$@\1\2 \5\6; /**< \8 */ \2 \7  ///< \8@
t next

# The bodies that are compiled once an instruction set, and the tables of Unicode, declare nothing for a reader.
s|^#include <.*\.inl>$||
