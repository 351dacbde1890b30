import type { BuilderChoice } from '../../config.js'
import { oneLine } from '../quoted-text.js'
import { EngineClient } from './client.js'
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
  const answer = await new EngineClient(dockerHost).probe('/version', signal).catch((error: unknown) => {
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

function versionIn({ status, text }: { readonly status: number; readonly text: string }): EngineVersion {
  const said = oneLine(text, 200)
  if (/HTTPS server/.test(said)) {
    throw new EngineError(
      'WANTS_TLS',
      `${said} Longshore does not support TLS: set DOCKER_HOST to its socket`,
    )
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
