import { PassThrough, type Readable } from 'node:stream'
import { ended, killWhenAborted, type ProgramResult } from '../../process.js'
import { DeployError, InfrastructureError } from '../errors.js'
import { mentionsResourceExhaustion } from '../resource-exhaustion.js'
import { openContents } from './contents.js'
import type { EntryKind, Source } from './git.js'
import { type Mirror, runInMirror, startInMirror } from './git-command.js'
import { entriesOf, invalidTree, KINDS } from './tree-entries.js'

/** Bytes of a folder's list: tens of thousands of entries, in the order of their names. */
const LISTED = 8 * 1024 * 1024
/** Bytes of the paths in which two commits differ: those of all files of a large repository. */
const COMPARED = 64 * 1024 * 1024
const MESSAGE = 64 * 1024

/** Seconds since 1970 that still have nanoseconds in 64 bits. */
const MAX_TIME = 2 ** 32

/** The commit that `ref` of a bare repository names, with its files at hand. */
export async function sourceOf(mirror: Mirror, ref: string, signal: AbortSignal): Promise<Source> {
  const args = ['log', '-1', '--no-show-signature', '--format=%H%n%ct%n%s', `${ref}^{commit}`, '--']
  const shown = await runInMirror(mirror, args, { signal, keep: 'first', keepBytes: MESSAGE })
  const [commitSha, time, subject] = ofEnded(shown).stdout.split('\n')
  if (shown.exitCode !== 0 || !commitSha) {
    throw new DeployError('REF_NOT_FOUND', `the fetched object is not a commit: ${shown.stderr.trim()}`)
  }
  const tree = (path: string) => (path === '.' ? `${commitSha}^{tree}` : `${commitSha}:${path}`)
  const output = async (args: readonly string[], keepBytes: number, stop: AbortSignal) => {
    return ofEnded(await runInMirror(mirror, args, { keepBytes, keep: 'first', signal: stop })).stdout
  }
  return {
    commitSha,
    // A commit may claim any time, which is no reason not to build it.
    committedAt: Math.max(0, Math.min(Number(time) || 0, MAX_TIME)),
    commitMessage: subject ?? '',
    message: (stop) =>
      output(['log', '-1', '--no-show-signature', '--format=%B', commitSha, '--'], MESSAGE, stop),
    changedSince: async (other, stop) => {
      const known = await runInMirror(mirror, ['cat-file', '-e', `${other}^{tree}`], { signal: stop })
      if (ofEnded(known).exitCode !== 0) return null
      const listing = ['diff-tree', '-r', '-z', '--name-only', '--no-renames', other, commitSha]
      const paths = await output(listing, COMPARED, stop)
      if (paths.length >= COMPARED)
        throw failed(`the commits differ in over ${COMPARED / 1024 ** 2} MiB of paths`)
      return paths.split('\0').filter((path) => path !== '')
    },
    kindsOf: async (paths, stop) => {
      const below = paths.filter((path) => path !== '.')
      // -t: a folder is listed itself, also where something in it is asked for as well.
      const listing = ['--literal-pathspecs', 'ls-tree', '-t', '-z', commitSha, '--', ...below]
      const listed = ofEnded(await runInMirror(mirror, listing, { signal: stop }))
      // A path that is not there is no failure of this command.
      if (listed.exitCode !== 0) throw invalidTree(listed.stderr) ?? failed(listed.stderr.trim())
      const kinds = kindsIn(listed.stdout).set('.', 'folder')
      return new Map([...kinds].filter(([path]) => paths.includes(path)))
    },
    list: async (folder, stop) => kindsIn(await output(['ls-tree', '-z', tree(folder)], LISTED, stop)),
    entries: (folder, stop) => entriesOf(mirror, tree(folder), stop),
    contents: (stop) => openContents(mirror, stop),
    read: (path, stop, bytes = 1024 * 1024) => output(['cat-file', 'blob', tree(path)], bytes, stop),
    archive: (folder, stop) => archive(mirror, tree(folder), stop),
  }
}

/** What was killed, or lacked something here, says nothing of the repository. @throws InfrastructureError GIT_FAILED */
function ofEnded(result: ProgramResult): ProgramResult {
  if (result.exitCode === null) throw failed(`it was killed by ${result.signal}`)
  if (result.exitCode !== 0 && mentionsResourceExhaustion(result.stderr)) throw failed(result.stderr.trim())
  return result
}

function failed(why: string): InfrastructureError {
  return new InfrastructureError('GIT_FAILED', `git could not read what was fetched: ${why}`)
}

/** Entries as `git ls-tree -z` lists them: mode, type, id, a tab and the path. */
function kindsIn(listing: string): Map<string, EntryKind> {
  const found = new Map<string, EntryKind>()
  for (const entry of listing.split('\0')) {
    const kind = KINDS.get(entry.slice(0, 6))
    if (kind) found.set(entry.slice(entry.indexOf('\t') + 1), kind)
  }
  return found
}

/**
 * Piped in the same turn as the start: Node discards a child's output that nobody reads when the child exits, and
 * whoever consumes this stream may wait for a connection first.
 */
function archive(mirror: Mirror, treeish: string, signal: AbortSignal): Readable {
  const out = new PassThrough()
  // git's own default would let the group write, which no checkout does.
  const args = ['-c', 'tar.umask=0022', 'archive', '--format=tar', treeish]
  const child = startInMirror(mirror, args, ['ignore', 'pipe', 'pipe'])
  let said = ''
  child.stderr?.on('data', (bytes: Buffer) => (said = (said + bytes.toString('utf8')).slice(-2000)))
  child.stdout?.pipe(out, { end: false })
  const stop = killWhenAborted(child, signal)
  const finish = async () => {
    try {
      const [exitCode] = await ended(child)
      if (exitCode === 0) out.end()
      else if (signal.aborted) out.destroy(signal.reason as Error)
      else out.destroy(invalidTree(said) ?? failed(said.trim()))
    } catch (error) {
      out.destroy(error as Error)
    } finally {
      stop()
    }
  }
  out.once('close', () => child.kill('SIGKILL'))
  // It may fail before, and after, anybody reads it.
  out.on('error', () => undefined)
  void finish()
  return out
}
