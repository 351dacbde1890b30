import { statfs } from 'node:fs/promises'
import { DeployError } from '../errors.js'
import type { DeploymentRun } from './deployment-run.js'
import type { Services } from '../services.js'

const MIB = 1024 * 1024

/**
 * Refuses to go on where a disk that a build writes to (the Docker engine's and DATA_DIR's) has less than MIN_FREE_DISK_MIB
 * left: a full disk would take down the apps that serve. First it frees the engine's build cache, everybody's, which
 * costs only time.
 *
 * @throws DeployError DISK_LOW that says which disk and what to free
 */
export async function checkDisk({ log, signal }: DeploymentRun, services: Services): Promise<void> {
  if (!(await findLow(services, signal))) return
  log.system('A disk is nearly full: freeing the build cache')
  await services.docker.pruneBuildCache(0, signal)
  const low = await findLow(services, signal)
  if (!low) return
  const message =
    `${low.path} has ${Math.floor(low.freeBytes / MIB)} MiB left, and a build needs ` +
    `${Math.round(services.settings.minFreeDiskBytes / MIB)} MiB (MIN_FREE_DISK_MIB): delete apps that are not needed, ` +
    'lower KEEP_RELEASES or LOG_RETENTION_DAYS, remove images of other programs (docker image prune), or enlarge the disk'
  throw new DeployError('DISK_LOW', message)
}

async function findLow(
  services: Services,
  signal: AbortSignal,
): Promise<{ path: string; freeBytes: number } | null> {
  for (const path of [await services.docker.rootFolder(signal), services.settings.dataDir]) {
    const freeBytes = await freeSpace(path)
    if (freeBytes !== null && freeBytes < services.settings.minFreeDiskBytes) return { path, freeBytes }
  }
  return null
}

/** Null: the path is not on this machine, as with an engine elsewhere. */
async function freeSpace(path: string): Promise<number | null> {
  try {
    const { bavail, bsize } = await statfs(path)
    return bavail * bsize
  } catch {
    return null
  }
}
