import { readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { syncFolderOf, writeSynced } from '../../durable-file.js'
import { epochOf } from './traefik-dynamic.js'

/** `older`: the file on disk is of a later epoch, and stays. */
export type Written = 'written' | 'same' | 'older'

/**
 * Files of this installation in a folder that others read and write as well: one for each stage, replaced as a whole.
 * Whoever calls it sees to it that nobody else of this installation does at the same time.
 */
export class RouteFiles {
  constructor(
    private readonly folder: string,
    private readonly instanceId: string,
    private readonly failpoint: (point: string) => void = () => undefined,
  ) {}

  /**
   * Puts the stage's file in place. A reader sees the old one or the new one, whatever dies.
   *
   * @throws Error of the file system
   */
  async write(stageId: string, text: string): Promise<Written> {
    const path = join(this.folder, `longshore-${this.instanceId}-${stageId}.yml`)
    const found = await textOf(path)
    if (found === text) return 'same'
    if (found !== null && (epochOf(found) ?? -1) > (epochOf(text) ?? -1)) return 'older'
    // Traefik reads *.yml, *.yaml and *.toml and leaves this one alone.
    const half = join(this.folder, `.longshore-${this.instanceId}-${stageId}.tmp`)
    await writeSynced(half, text, { mode: 0o644 })
    this.failpoint('before:rename')
    await rename(half, path)
    await syncFolderOf(path)
    return 'written'
  }

  /** Removes the files of this installation's other stages, and what a crash left. Other files are not touched. */
  async keepOnly(stageIds: ReadonlySet<string>): Promise<void> {
    const own = new RegExp(`^\\.?longshore-${this.instanceId}-([a-z0-9]+)\\.(yml|tmp)$`)
    for (const name of await readdir(this.folder)) {
      const [, stageId, kind] = own.exec(name) ?? []
      if (stageId === undefined || (kind === 'yml' && stageIds.has(stageId))) continue
      await rm(join(this.folder, name), { force: true })
    }
  }
}

async function textOf(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
