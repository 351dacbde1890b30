import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError, type Env } from '../../config.js'
import { ContextError, currentContext, type DockerContext } from './contexts.js'
import { whyUnusable } from './engine-address.js'

/** Where the Docker engine is, and who says so. */
export interface EngineLocation {
  /** As DOCKER_HOST has it. */
  readonly host: string
  /** What names it, for a person. */
  readonly from: string
  /** False: nobody named it, it is the usual socket. */
  readonly isNamed: boolean
  /** What was passed over because it is missing or broken. */
  readonly warnings: readonly string[]
}

const USUAL_SOCKET = '/var/run/docker.sock'

/**
 * Finds the engine as the Docker command line does: DOCKER_HOST, else the current context, else the usual socket; and where
 * there is none, that of rootless Docker. Looks at files only: {@link checkEngine} tells whether anybody answers there.
 *
 * @throws ConfigError when what names it cannot be used
 */
export function findEngine(env: Env, usualSocket = USUAL_SOCKET): EngineLocation {
  const named = env.DOCKER_HOST?.trim()
  if (named) return fromSetting(named, env)
  try {
    const context = currentContext(env)
    return context ? fromContext(context) : fromSocket(usualSocket, env)
  } catch (error) {
    if (!(error instanceof ContextError)) throw error
    // Somebody asked for that one, now; what a file says may be left from long ago.
    if (env.DOCKER_CONTEXT?.trim()) throw new ConfigError(`DOCKER_CONTEXT: ${error.message}`)
    return { ...fromSocket(usualSocket, env), warnings: [`${error.message}; using the default socket`] }
  }
}

function fromSetting(host: string, env: Env): EngineLocation {
  const why = whyUnusable(host)
  if (why !== null) throw new ConfigError(`DOCKER_HOST: ${why}`)
  const tls = host.startsWith('https://') ? 'DOCKER_CERT_PATH' : 'DOCKER_TLS_VERIFY'
  if (env[tls]?.trim() && !host.startsWith('unix://')) {
    throw new ConfigError(
      `DOCKER_HOST: ${tls} requires client certificates at ${host}, which Longshore does not support. ${FORWARD}`,
    )
  }
  return { host, from: 'DOCKER_HOST', isNamed: true, warnings: [] }
}

const FORWARD =
  'Forward its socket (ssh -N -L /tmp/engine.sock:/var/run/docker.sock host) and set DOCKER_HOST=unix:///tmp/engine.sock'

function fromContext({ name, chosenBy, host, needsTls }: DockerContext): EngineLocation {
  const from = `the Docker context "${name}" of ${chosenBy}`
  const instead = `Or use another engine: set DOCKER_HOST (unix://${USUAL_SOCKET}), or docker context use default`
  if (needsTls && !host.startsWith('unix://')) {
    throw new ConfigError(
      `${from} requires TLS at ${host} with client certificates, which Longshore does not support. ${FORWARD}. ${instead}`,
    )
  }
  const why = whyUnusable(host)
  if (why !== null) throw new ConfigError(`${from}: ${why}. ${instead}`)
  return { host, from, isNamed: true, warnings: [] }
}

function fromSocket(usualSocket: string, { XDG_RUNTIME_DIR }: Env): EngineLocation {
  const rootless = XDG_RUNTIME_DIR ? join(XDG_RUNTIME_DIR, 'docker.sock') : null
  const isRootless = rootless !== null && !existsSync(usualSocket) && existsSync(rootless)
  const [path, from] = isRootless
    ? [rootless, 'the socket of rootless Docker']
    : [usualSocket, 'the default socket']
  return { host: `unix://${path}`, from, isNamed: false, warnings: [] }
}
