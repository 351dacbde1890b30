import { type IncomingMessage, request } from 'node:http'
import { request as requestTls } from 'node:https'
import type { BuilderChoice } from '../../config.js'
import { engineAddress } from './engine-address.js'
import { connectionError, EngineError } from './engine-error.js'

/** What an engine says of itself, as far as it is read. */
export interface EngineVersion {
  readonly Version: string
  readonly ApiVersion: string
  readonly Os?: string
  readonly Components?: readonly { readonly Name?: string }[] | null
}

/** That of Docker 20.10. */
const MIN_API = [1, 41] as const
/** An engine says little of itself; what says more is none. */
const MAX_BYTES = 1024 * 1024

/**
 * Asks the engine at a DOCKER_HOST for its version. On a connection of its own: what one says that was opened to an engine
 * that has ended since says nothing of the engine. Without a bound but `signal`'s.
 *
 * @throws EngineError when no engine answers, or one that cannot be used with this BUILDER
 */
export async function checkEngine(
  dockerHost: string,
  builder: BuilderChoice,
  signal?: AbortSignal,
): Promise<string> {
  const answer = await get(dockerHost, '/version', signal).catch((error: unknown) => {
    if (signal?.aborted) throw signal.reason
    throw connectionError(error) ?? error
  })
  const version = versionIn(answer)
  const name = `${isPodman(version) ? 'Podman' : 'Docker'} ${version.Version} (API ${version.ApiVersion})`
  if (!isNewEnough(version)) {
    throw new EngineError('OLD', `it is ${name}, and Longshore needs Docker 20.10 (API 1.41) or newer`)
  }
  if (builder === 'buildkit' && !hasBuildkit(version)) {
    throw new EngineError('NO_BUILDKIT', `it is ${name}, and BUILDER=buildkit. Set BUILDER=classic, or auto`)
  }
  return version.Version
}

/** Podman's API has Docker's version and a classic build only: it ignores what asks for BuildKit. Nor has Windows one. */
export function hasBuildkit(version: EngineVersion): boolean {
  return version.Os === 'linux' && !isPodman(version)
}

function isPodman({ Components }: EngineVersion): boolean {
  return (Components ?? []).some(({ Name }) => Name?.startsWith('Podman'))
}

function isNewEnough({ ApiVersion }: EngineVersion): boolean {
  const [major = 0, minor = 0] = ApiVersion.split('.').map(Number)
  return major > MIN_API[0] || (major === MIN_API[0] && minor >= MIN_API[1])
}

function versionIn({ status, text }: Answer): EngineVersion {
  const said = text.trim().slice(0, 200)
  if (/HTTPS server/.test(said)) {
    throw new EngineError('WANTS_TLS', `${said} Longshore uses none: set DOCKER_HOST to its socket`)
  }
  if (status >= 500) throw new EngineError('AWAY', `it answers ${status}: ${said}`)
  if (status === 401 || status === 403) throw new EngineError('REFUSES', `it answers ${status}: ${said}`)
  const version = parsed(text)
  if (status === 200 && version) return version
  const what = status === 200 ? 'without a version' : `with ${status}`
  throw new EngineError('FOREIGN', `it answers GET /version ${what}. Is DOCKER_HOST right?`)
}

function parsed(text: string): EngineVersion | null {
  try {
    const value = JSON.parse(text) as Partial<EngineVersion> | null
    const isVersion = /^\d+\.\d+$/.test(String(value?.ApiVersion)) && typeof value?.Version === 'string'
    return isVersion ? (value as EngineVersion) : null
  } catch {
    return null
  }
}

interface Answer {
  readonly status: number
  readonly text: string
}

async function get(dockerHost: string, path: string, signal: AbortSignal | undefined): Promise<Answer> {
  const address = engineAddress(dockerHost)
  if (!address) throw new Error(`"${dockerHost}" is not unix:///path or tcp://host:port`)
  const isTls = 'protocol' in address && address.protocol === 'https'
  const where = 'protocol' in address ? { host: address.host, port: address.port } : address
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const asked = (isTls ? requestTls : request)({ ...where, path, agent: false, signal }, resolve)
    asked.on('error', reject).end()
  })
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of answer) {
    bytes += (piece as Buffer).length
    if (bytes > MAX_BYTES) break
    pieces.push(piece as Buffer)
  }
  return { status: answer.statusCode ?? 0, text: Buffer.concat(pieces).toString('utf8') }
}
