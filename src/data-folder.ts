import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'

/** The embedded PostgreSQL, which root starts as another user, passes through; nobody lists what is there. */
const PASSED = 0o711
const PRIVATE = 0o700
/** Below it, with the sources of private repositories. */
const MIRRORS = 'mirrors'

/**
 * Makes DATA_DIR and the folder of the mirrors, or mends the rights of those that are there: no other user of the machine
 * reads sources or secrets in them, whatever the umask.
 */
export async function protectDataFolder(dataDir: string): Promise<void> {
  await protect(dataDir, PASSED)
  await protect(join(dataDir, MIRRORS), PRIVATE)
}

async function protect(folder: string, mode: number): Promise<void> {
  await mkdir(folder, { recursive: true, mode })
  await chmod(folder, mode).catch((error: NodeJS.ErrnoException) => {
    // Somebody else's, who lets this process write into it.
    if (error.code !== 'EPERM') throw error
  })
}
