// The package carries the repository's licence; it is copied, since a link does not survive packing.

import { copyFileSync } from 'node:fs';

copyFileSync(new URL('../../../LICENSE', import.meta.url), new URL('../LICENSE', import.meta.url));
