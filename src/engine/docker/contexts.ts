import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Env } from '../../config.js'

/** A context of the Docker command line: an engine that somebody has given a name. */
export interface DockerContext {
  readonly name: string
  /** What made it the current one: `DOCKER_CONTEXT`, or the path of a file. */
  readonly chosenBy: string
  readonly host: string
  /** Whether it is reached with certificates of its own. */
  readonly needsTls: boolean
}

/** Files of a context that are missing or broken. */
export class ContextError extends Error {
  override name = 'ContextError'
}

/**
 * The context that the Docker command line takes without DOCKER_HOST: that of DOCKER_CONTEXT, else that of `docker context
 * use`, which Docker Desktop, Colima and rootless Docker set too. Null: the default one, the usual socket.
 *
 * @throws ContextError when a file that says so is missing or broken
 */
export function currentContext(env: Env): DockerContext | null {
  const folder = env.DOCKER_CONFIG?.trim() || join(env.HOME || homedir(), '.docker')
  const file = join(folder, 'config.json')
  const named = env.DOCKER_CONTEXT?.trim()
  const name = named || contextOf(file)
  if (!name || name === 'default') return null
  return readContext(folder, name, named ? 'DOCKER_CONTEXT' : file)
}

function contextOf(file: string): string | null {
  const { currentContext: name } = readJson<{ currentContext?: unknown }>(file) ?? {}
  if (name === undefined || name === null || typeof name === 'string') return name ?? null
  throw new ContextError(`${file} is broken: currentContext is not a string`)
}

/** The command line names the folder of a context after the hash of its name. */
function readContext(folder: string, name: string, chosenBy: string): DockerContext {
  const id = createHash('sha256').update(name).digest('hex')
  const file = join(folder, 'contexts/meta', id, 'meta.json')
  const meta = readJson<{ Endpoints?: { docker?: { Host?: unknown; SkipTLSVerify?: unknown } } }>(file)
  if (!meta) {
    throw new ContextError(
      `the Docker context "${name}", set by ${chosenBy}, does not exist: ${file} is missing`,
    )
  }
  const endpoint = meta.Endpoints?.docker
  if (typeof endpoint?.Host !== 'string' || endpoint.Host === '') {
    throw new ContextError(
      `the Docker context "${name}" names no engine: ${file} has no Endpoints.docker.Host`,
    )
  }
  const certificates = join(folder, 'contexts/tls', id, 'docker')
  const hasCertificates = existsSync(certificates) && readdirSync(certificates).length > 0
  const needsTls = hasCertificates || endpoint.SkipTLSVerify === true
  return { name, chosenBy, host: endpoint.Host, needsTls }
}

/** Null: there is no such file. */
function readJson<T extends object>(file: string): T | null {
  try {
    const value = JSON.parse(readFileSync(file, 'utf8')) as T | null
    if (typeof value === 'object' && value !== null) return value
    throw new Error('it is not a JSON object')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return null
    throw new ContextError(`${file} cannot be read: ${message}`)
  }
}
