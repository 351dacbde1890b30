import type { ProgramResult } from '../../process.js'
import { DeployError, InfrastructureError, OutageError } from '../errors.js'
import { mentionsResourceExhaustion } from '../resource-exhaustion.js'
import { FETCH_FAILURES, UNKNOWN_FAILURE } from './fetch-failures.js'
import type { FetchRequest } from './git.js'

type Asked = Pick<FetchRequest, 'ref' | 'repoUrl'>

/** Of what git said: ssh's warning of a changed host key is as long as this. */
const LAST_LINES = 20
/** So many branches are named where HEAD names none of them. */
const MAX_BRANCHES = 20

/** What follows from another line, or is advice for a person at a terminal. */
const NOISE = new RegExp(
  [
    '^fatal: Could not read from remote repository|^Please make sure you have the correct access rights',
    "^and the repository exists|^fatal: (the remote end )?hung up|^fatal: expected (flush|'packfile')|^fatal: early EOF",
    '^fatal: (fetch-pack: )?invalid index-pack output|^fatal: error processing|^send-pack: unexpected disconnect',
    '^fetch-pack: unexpected disconnect|^fatal: the remote end|^Warning: Permanently added|^(remote:)?[@=*\\s]*$',
    '^(remote: )?(Enumerating|Counting|Compressing|Receiving|Resolving|Updating|Total|Unpacking)\\b',
  ].join('|'),
  'i',
)

/**
 * The error of a fetch that failed. What is wrong with the repository's URL, its access or the ref is a DeployError, a server
 * or a network that may be well again an OutageError, both as FETCH_FAILURES says; what this machine lacks, and a git that
 * was killed, an InfrastructureError. The cause of the latter two has git's words.
 */
export function fetchError(request: Asked, result: ProgramResult): Error {
  const lines = linesOf(result.stderr)
  const details = { exitCode: result.exitCode, lastLines: lines.slice(-LAST_LINES) }
  const here = (why: string) => {
    const message = `git could not fetch ${request.repoUrl}: ${why}`
    return new InfrastructureError('CLONE_FAILED', message, new DeployError('CLONE_FAILED', message, details))
  }
  if (result.exitCode === null) return here(`it was killed by ${result.signal}`)
  const lacking = lines.find(mentionsResourceExhaustion)
  if (lacking !== undefined) return here(lacking)
  if (isMissingRef(result)) return missingRef(request, result, [])
  const said = lines.join('\n')
  const failure = FETCH_FAILURES.find(({ says }) => says.test(said)) ?? UNKNOWN_FAILURE
  const error = new DeployError(failure.code, failure.message(request.repoUrl, tellingLine(lines)), details)
  return failure.isPassing ? new OutageError(error.code, error.message, error) : error
}

export function isMissingRef({ exitCode, stderr }: ProgramResult): boolean {
  return exitCode !== 0 && /couldn't find remote ref|not our ref|no such ref/i.test(stderr)
}

/** The error of a ref that is not there, of a repository that has `branches`. */
export function missingRef(
  { ref, repoUrl }: Asked,
  { exitCode, stderr }: ProgramResult,
  branches: readonly string[],
): DeployError {
  const message = `the repository has ${lackingOf(ref, branches)}: ${repoUrl}`
  return new DeployError('REF_NOT_FOUND', message, {
    exitCode,
    lastLines: linesOf(stderr).slice(-LAST_LINES),
  })
}

function lackingOf(ref: string | null, branches: readonly string[]): string {
  if (ref !== null) {
    const isShort = /^[0-9a-f]{4,39}$/i.test(ref)
    const hint = isShort
      ? ' (a short commit id is not enough: give all 40 digits, as git rev-parse does)'
      : ''
    return `no branch, tag or commit "${ref}"${hint}`
  }
  if (branches.length === 0) return 'no commit yet'
  const more = branches.length > MAX_BRANCHES ? ` and ${branches.length - MAX_BRANCHES} more` : ''
  const named = `${branches.slice(0, MAX_BRANCHES).join(', ')}${more}`
  return `no default branch (its HEAD names a branch that is not there); set the app's branch to one of ${named}`
}

/** Progress overwrites its line. */
function linesOf(stderr: string): string[] {
  return stderr.split(/[\r\n]+/).filter((line) => line.trim() !== '')
}

/** What the server, ssh or curl said first, which git's own complaint only follows from. */
function tellingLine(lines: readonly string[]): string {
  const telling = lines.find((line) => !NOISE.test(line))
  return (telling ?? lines.find((line) => line.startsWith('fatal: ')) ?? lines.at(-1) ?? '').trim()
}
