import { type ChildProcess, ended, killWhenAborted } from '../../process.js'
import { DeployError, InfrastructureError } from '../errors.js'
import { type EntryKind, MAX_PATH, type TreeEntry } from './git.js'
import { type Mirror, startInMirror } from './git-command.js'

export const KINDS = new Map<string, EntryKind>([
  ['100644', 'file'],
  ['100755', 'file'],
  ['040000', 'folder'],
  ['120000', 'link'],
  ['160000', 'submodule'],
])

/** What is listed before the path of an entry is shorter. */
const MAX_LINE_BYTES = MAX_PATH + 200

/**
 * What git says of a commit that nobody can check out: whoever made it has to mend it.
 *
 * @returns null when it says something else
 */
export function invalidTree(said: string): DeployError | null {
  const [why] = /(?:invalid path|malformed mode|empty filename|too-short tree)[^\n]*/.exec(said) ?? []
  if (why === undefined) return null
  return new DeployError('REPO_INVALID', `git cannot check out this commit: ${why}. ${HOW_TO_MEND}`)
}

export const HOW_TO_MEND =
  'Remove it from the commit, and create commits with git itself, which never adds such an entry'

/** All that is below a tree, as git lists it. @throws DeployError REPO_INVALID */
export async function* entriesOf(
  mirror: Mirror,
  treeish: string,
  signal: AbortSignal,
): AsyncGenerator<TreeEntry> {
  const args = ['ls-tree', '-r', '-t', '-z', '--long', treeish]
  const child = startInMirror(mirror, args, ['ignore', 'pipe', 'pipe'])
  const stop = killWhenAborted(child, signal)
  const end = outcome(child)
  try {
    let rest = Buffer.alloc(0)
    for await (const bytes of (child.stdout ?? []) as AsyncIterable<Buffer>) {
      const pieces = Buffer.concat([rest, bytes])
      let at = 0
      for (let next = pieces.indexOf(0); next >= 0; next = pieces.indexOf(0, at)) {
        yield entryOf(pieces.subarray(at, next))
        at = next + 1
      }
      rest = pieces.subarray(at)
      if (rest.length > MAX_LINE_BYTES) throw tooLong(rest)
    }
    const { exitCode, said } = await end
    signal.throwIfAborted()
    if (exitCode !== 0) {
      throw invalidTree(said) ?? new InfrastructureError('GIT_FAILED', `git could not list a commit: ${said}`)
    }
  } finally {
    stop()
    child.kill('SIGKILL') // whoever has seen enough leaves it in the middle
  }
}

/** Awaited only where all was read: it never rejects. */
async function outcome(child: ChildProcess): Promise<{ exitCode: number | null; said: string }> {
  let said = ''
  child.stderr?.on('data', (bytes: Buffer) => (said = (said + bytes.toString('utf8')).slice(-2000)))
  try {
    const [exitCode] = await ended(child)
    return { exitCode, said: said.trim() }
  } catch (error) {
    return { exitCode: null, said: (error as Error).message }
  }
}

/** `mode type id size`, a tab and the path; the size is padded, and `-` for what has none. */
function entryOf(line: Buffer): TreeEntry {
  const tab = line.indexOf(0x09)
  const [mode = '', , id = '', size = ''] = line.subarray(0, tab).toString('latin1').split(/ +/)
  const name = line.subarray(tab + 1)
  if (name.length > MAX_PATH) throw tooLong(name)
  const path = name.toString('utf8')
  return {
    path,
    rawPath: path.includes('\uFFFD') && !Buffer.from(path).equals(name) ? Buffer.from(name) : null,
    kind: KINDS.get(mode) ?? 'file',
    isExecutable: mode === '100755',
    size: Number.parseInt(size, 10) || 0,
    id,
  }
}

function tooLong(path: Buffer): DeployError {
  const begin = path.subarray(0, 100).toString('utf8')
  const message = `the repository has a path of more than ${MAX_PATH} bytes, "${begin}…": no system can check it out. ${HOW_TO_MEND}`
  return new DeployError('REPO_INVALID', message)
}
