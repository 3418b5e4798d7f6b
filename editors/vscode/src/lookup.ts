// Which satdsl is started: plain functions of the settings and the disk, without VS Code.

import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, isAbsolute, join, normalize } from 'node:path';

export interface Surroundings {
  /** The setting `satdsl.path`, or "". */
  setting: string;
  /** The folders of the window; only those whose programs may be run. */
  folders: string[];
  /** The environment's PATH. */
  path: string;
  windows: boolean;
}

export type Found = { command: string } | { missing: string };

/** The command to start, or a sentence that says what was looked for. */
export async function findSatdsl(around: Surroundings): Promise<Found> {
  if (around.setting !== '') {
    for (const candidate of configured(around)) {
      if (await isProgram(candidate)) return { command: candidate };
    }
    return { missing: `satdsl.path is “${around.setting}”, and there is no such program.` };
  }
  const own = around.windows ? ['.venv', 'Scripts', 'satdsl.exe'] : ['.venv', 'bin', 'satdsl'];
  const candidates = [...around.folders.map((folder) => join(folder, ...own)), ...onPath(around, 'satdsl')];
  for (const candidate of candidates) {
    if (await isProgram(candidate)) return { command: candidate };
  }
  if (around.folders.length === 0) return { missing: 'satdsl is not on the PATH.' };
  return { missing: 'satdsl is neither in this folder’s .venv nor on the PATH.' };
}

function configured(around: Surroundings): string[] {
  const setting = around.setting.replace(/^~(?=$|[\\/])/, homedir());
  if (isAbsolute(setting)) return [normalize(setting)];
  const relative = around.folders.map((folder) => join(folder, setting));
  return /[\\/]/.test(setting) ? relative : [...relative, ...onPath(around, setting)];
}

function onPath(around: Surroundings, name: string): string[] {
  const endings = around.windows ? ['.exe', '.cmd', '.bat'] : [''];
  const folders = around.path.split(delimiter).filter((folder) => folder !== '');
  return folders.flatMap((folder) => endings.map((ending) => join(folder, name + ending)));
}

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
