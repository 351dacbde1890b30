import type { ProgramResult } from '../../process.js'
import { DeployError, InfrastructureError } from '../errors.js'
import { mentionsResourceExhaustion } from '../resource-exhaustion.js'
import type { FetchRequest } from './git.js'

/** What git, curl and ssh say of a network or a server that may be well again in a moment. */
const PASSING = new RegExp(
  [
    'Could not resolve (host|hostname|proxy)|Name or service not known|Temporary failure in name resolution',
    'timed out|Operation too slow|Failed to connect|Couldn.t connect to server',
    'Connection (was )?(refused|reset|closed)|No route to host|Network is unreachable',
    'returned error: 5\\d\\d|HTTP 5\\d\\d|early EOF|unexpected disconnect|hung up unexpectedly',
  ].join('|'),
  'i',
)

/** What the connection's end follows from, when objects of the repository are broken: no attempt is different. */
const CORRUPT = /possible repository corruption|empty filename in tree|malformed mode in tree|too-short tree/i

/**
 * The error of a fetch that failed. What is wrong with the repository's URL, its access or the ref is a DeployError; the
 * network's, this machine's and a git's that was killed is an InfrastructureError with the code CLONE_FAILED, whose cause has git's words.
 */
export function fetchError(request: Pick<FetchRequest, 'ref' | 'repoUrl'>, result: ProgramResult): Error {
  const lines = result.stderr.split('\n').filter((line) => line.trim() !== '')
  const details = { exitCode: result.exitCode, lastLines: lines.slice(-10) }
  const said = lines.join('\n')
  const failed = (why: string) =>
    new DeployError('CLONE_FAILED', `git could not fetch ${request.repoUrl}: ${why}`, details)
  if (result.exitCode === null) return passing(failed(`it was killed by ${result.signal}`))
  const lacking = lines.find(mentionsResourceExhaustion)
  if (lacking !== undefined) return passing(failed(lacking))
  if (isMissingRef(result)) {
    const what = request.ref ? `no branch, tag or commit "${request.ref}"` : 'no commit yet'
    return new DeployError('REF_NOT_FOUND', `the repository has ${what}: ${request.repoUrl}`, details)
  }
  if (/not found|does not exist|does not appear to be a git repository|could not read Username/i.test(said)) {
    const message = `there is no readable repository at ${request.repoUrl}: check the URL, or give this server access`
    return new DeployError('REPO_NOT_FOUND', message, details)
  }
  if (/Host key verification failed/i.test(said)) {
    return failed('its host key is not in the known hosts of the account that runs Longshore (ssh-keyscan)')
  }
  if (/Permission denied \(publickey/i.test(said)) {
    return failed('it accepts no SSH key of the account that runs Longshore: add one as a deploy key')
  }
  // What follows git's first complaint is advice, for a person at a terminal.
  const error = failed(lines.find((line) => line.startsWith('fatal: ')) ?? lines.at(-1) ?? '')
  return PASSING.test(said) && !CORRUPT.test(said) ? passing(error) : error
}

export function isMissingRef({ stderr }: ProgramResult): boolean {
  return /couldn't find remote ref|not our ref|no such ref/i.test(stderr)
}

function passing(error: DeployError): InfrastructureError {
  return new InfrastructureError(error.code, error.message, error)
}
