import { DeployError } from '../errors.js'
import { MAX_PATH, type Source, type TreeEntry } from '../git/git.js'
import type { Services } from '../services.js'
import { quoteName } from '../quoted-text.js'

/** Bytes that file systems take for a name. */
const MAX_NAME = 255
const MAX_LINKS = 40
/** Names that git itself refuses, or there would be a way out of the folder, or into what git runs. */
const FORBIDDEN = /^(?:|\.{1,2}|(?:\.git|git~1)[ .]*(?::.*)?)$/i
const MEND = 'Remove it from the commit: git cannot check it out'

/** What a folder of a commit has, by path below it. */
export type ContextFiles = ReadonlyMap<string, TreeEntry>

type Limits = Pick<Services['settings'], 'maxContextFiles'>

/**
 * Looks at all that a context has before anything of it is read.
 *
 * @throws DeployError REPO_INVALID with the path of what no checkout could make; CONTEXT_TOO_LARGE
 */
export async function listContext(
  source: Source,
  { folder, maxContextFiles }: Limits & { readonly folder: string },
  signal: AbortSignal,
): Promise<ContextFiles> {
  const found = new Map<string, TreeEntry>()
  for await (const entry of source.entries(folder, signal)) {
    checkEntry(entry)
    const parent = entry.path.slice(0, Math.max(0, entry.path.lastIndexOf('/')))
    if (parent !== '' && found.get(parent)?.kind !== 'folder') throw invalid(entry, 'is not in a folder')
    if (found.has(entry.path)) throw invalid(entry, 'exists twice')
    found.set(entry.path, entry)
    checkCount(found.size, maxContextFiles)
  }
  return found
}

/** @throws DeployError CONTEXT_TOO_LARGE when a context has more files and folders than MAX_CONTEXT_FILES lets through */
export function checkCount(count: number, maxContextFiles: number): void {
  if (count <= maxContextFiles) return
  const message = `the build context has more than ${maxContextFiles} files and folders (MAX_CONTEXT_FILES): set contextPath to a smaller folder, or raise it`
  throw new DeployError('CONTEXT_TOO_LARGE', message)
}

function checkEntry(entry: TreeEntry): void {
  for (const name of entry.path.split('/')) {
    if (FORBIDDEN.test(name)) throw invalid(entry, 'has a name that git does not check out')
    if (name.length > MAX_NAME / 4 && Buffer.byteLength(name) > MAX_NAME) {
      throw invalid(entry, `has a name of more than ${MAX_NAME} bytes`)
    }
  }
  if (entry.kind === 'link' && entry.size > MAX_PATH) {
    throw invalid(
      entry,
      `is a symbolic link to a path of ${entry.size} bytes, more than the ${MAX_PATH} that`,
    )
  }
}

function invalid({ path }: TreeEntry, why: string): DeployError {
  return new DeployError('REPO_INVALID', `${quoteName(path)} in the repository ${why}. ${MEND}`)
}

/** @throws DeployError CONTEXT_TOO_LARGE when what is sent has more bytes than MAX_CONTEXT_MIB lets through */
export function checkSize(sent: ContextFiles, maxBytes: number): void {
  const files = [...sent.values()]
  const bytes = files.reduce((total, { size }) => total + size, 0)
  if (bytes <= maxBytes) return
  const largest = files.reduce((one, other) => (other.size > one.size ? other : one))
  const mib = (size: number) => `${Math.ceil(size / 1024 / 1024)} MiB`
  const message = `the build context unpacks to ${mib(bytes)}, more than ${mib(maxBytes)} (MAX_CONTEXT_MIB); its largest file is "${largest.path}" (${mib(largest.size)}). Exclude what the build does not need with .dockerignore, or raise MAX_CONTEXT_MIB`
  throw new DeployError('CONTEXT_TOO_LARGE', message)
}

/**
 * The file that a path leads to, over links in any of its folders.
 *
 * @returns null when there is none inside the context
 */
export async function follow(
  { source, files }: { readonly source: Source; readonly files: ContextFiles },
  path: string,
  signal: AbortSignal,
): Promise<TreeEntry | null> {
  using contents = source.contents(signal)
  const rest = path.split('/').reverse()
  const at: string[] = []
  for (let links = 0; rest.length > 0;) {
    const name = rest.pop() ?? ''
    if (name === '' || name === '.') continue
    if (name === '..') {
      if (at.pop() === undefined) return null
      continue
    }
    const entry = files.get([...at, name].join('/'))
    if (!entry) return null
    if (entry.kind !== 'link') {
      at.push(name)
      continue
    }
    const target = await textOf(contents.read(entry.id))
    if (++links > MAX_LINKS || target.startsWith('/')) return null
    rest.push(...target.split('/').reverse())
  }
  return files.get(at.join('/')) ?? null
}

/** A whole file, for those that are known to be small. */
export async function textOf(pieces: AsyncIterable<Buffer>): Promise<string> {
  const read: Buffer[] = []
  for await (const piece of pieces) read.push(piece)
  return Buffer.concat(read).toString('utf8')
}
