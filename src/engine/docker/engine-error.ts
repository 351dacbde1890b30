import { readFileSync, statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { InfrastructureError } from '../errors.js'

/** What can be wrong with an engine. Each is said to anybody, so it names no address, path or user. */
export const ENGINE_PROBLEMS = {
  AWAY: 'the Docker engine does not answer',
  REFUSES: 'the Docker engine refuses this user',
  FOREIGN: 'what answers is not a Docker engine',
  WANTS_TLS: 'the Docker engine requires TLS',
  OLD: 'the Docker engine is too old',
  NO_BUILDKIT: 'the Docker engine has no BuildKit',
} as const

export type EngineProblem = keyof typeof ENGINE_PROBLEMS

/** An engine that cannot be used as it is. The message says what is wrong, where, and what to do. */
export class EngineError extends InfrastructureError {
  override name = 'EngineError'

  constructor(
    readonly problem: EngineProblem,
    details: string,
    cause?: unknown,
  ) {
    super('DOCKER_UNREACHABLE', `${ENGINE_PROBLEMS[problem]}: ${details}`, cause)
  }
}

const START = 'Start it, or set DOCKER_HOST'
const ROOTLESS = 'use rootless Docker (https://docs.docker.com/engine/security/rootless/)'
const GROUP_MAY_WRITE = 0o020
const LOST = /ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|EAI_AGAIN|socket hang up/

interface SystemError extends Error {
  readonly code?: string
  /** A path, where `port` is missing. */
  readonly address?: string
  readonly port?: number
  readonly hostname?: string
  readonly errors?: readonly SystemError[]
}

function firstOf(error: SystemError): SystemError {
  return error.errors?.[0] ?? error
}

/** What a connection that failed says of the engine. Null: it is not the connection that failed. */
export function connectionError(error: unknown): EngineError | null {
  // A name with several addresses fails with the errors of all of them.
  const { code = '', message = '', address = '', port, hostname } = firstOf(error as SystemError)
  const at = port === undefined ? address : `${address}:${port}`
  if (code === 'EACCES' || code === 'EPERM') {
    return new EngineError('REFUSES', port === undefined ? refusal(address) : message, error)
  }
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new EngineError('AWAY', `there is no socket ${at}. ${START}`, error)
  }
  if (code === 'ECONNREFUSED') return new EngineError('AWAY', `nothing listens at ${at}. ${START}`, error)
  if (code === 'ENOTFOUND') {
    return new EngineError('AWAY', `there is no host ${hostname}. Is DOCKER_HOST right?`, error)
  }
  if (LOST.test(`${code} ${message}`)) return new EngineError('AWAY', message, error)
  if (code.startsWith('HPE_')) return new EngineError('FOREIGN', `it does not speak HTTP. ${LOOK}`, error)
  if (code === 'EPROTO' || code === 'ERR_SSL_WRONG_VERSION_NUMBER') {
    return new EngineError('FOREIGN', `it does not speak TLS, which https:// requires. ${LOOK}`, error)
  }
  if (code.startsWith('ERR_SSL') || code.includes('CERT')) {
    return new EngineError(
      'WANTS_TLS',
      `${code}: Longshore does not support client certificates. ${LOOK}`,
      error,
    )
  }
  return null
}

const LOOK = 'Is DOCKER_HOST, or the current Docker context, right?'

/**
 * Why the kernel keeps this process from a socket, and what to do.
 *
 * @param groupFile as /etc/group
 */
export function refusal(path: string, groupFile = '/etc/group'): string {
  const user = processUser()
  const found = statOrNull(path)
  if (found === null) {
    return `${path} is in a folder that ${user.text} cannot access. Set DOCKER_HOST to an engine of this user's, or ${ROOTLESS}`
  }
  const { gid, mode } = found
  const is = `the socket ${path} exists, but ${user.text} may not use it`
  if (gid === 0 || (mode & GROUP_MAY_WRITE) === 0) {
    return `${is}: only its owner may. Give it a group that this user is in, or ${ROOTLESS}`
  }
  const group = groupOf(gid, groupFile)
  if (group === null) {
    return `${is}: it belongs to the group ${gid}. Start this process in that group (in a container: group_add), or ${ROOTLESS}`
  }
  if (user.name !== null && group.members.includes(user.name)) {
    return `${is}: the user joined the group ${group.name} after this session began. Log in again`
  }
  return `${is}: the user is not in the group ${group.name}. As root: usermod -aG ${group.name} ${user.name ?? 'USER'}, then log in again; or ${ROOTLESS}`
}

function processUser(): { name: string | null; text: string } {
  try {
    const { username, uid } = userInfo()
    return { name: username, text: `the user ${username} (uid ${uid})` }
  } catch {
    return { name: null, text: `the user with uid ${process.geteuid?.()}` }
  }
}

/** Null: it has no name here. */
function groupOf(gid: number, groupFile: string): { name: string; members: string[] } | null {
  const lines = readOrEmpty(groupFile)
    .split('\n')
    .map((line) => line.split(':'))
  const [name, , , members = ''] = lines.find(([, , id]) => id === String(gid)) ?? []
  return name === undefined ? null : { name, members: members.split(',') }
}

function statOrNull(path: string) {
  try {
    return statSync(path)
  } catch {
    return null
  }
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
