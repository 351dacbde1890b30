import type Docker from 'dockerode'
import type { BuilderChoice } from '../../config.js'
import { DeployError } from '../errors.js'
import { followBuild } from './build-stream.js'
import { bounded, gone } from './calls.js'
import type { BuildRequest, Image } from './docker.js'

export interface BuildOptions {
  readonly builder: BuilderChoice
  readonly buildSilenceMs: number
  readonly dockerTimeoutMs: number
}

/** Builds an image, writes what the build says, and inspects the result: only what is there counts as built. */
export async function buildImage(
  docker: Docker,
  options: BuildOptions,
  request: BuildRequest,
  signal: AbortSignal,
): Promise<Image> {
  const silence = new AbortController()
  const either = AbortSignal.any([signal, silence.signal])
  const watchdog = setTimeout(() => silence.abort(), options.buildSilenceMs)
  const contextFailed = new Promise<never>((_resolve, reject) => request.context.once('error', reject))
  contextFailed.catch(() => undefined)
  try {
    const version = await chooseBuilder(docker, options)
    const stream = await Promise.race([post(docker, request, version, either), contextFailed])
    stream.on('data', () => watchdog.refresh())
    // Not raced with the context: the engine's own words about a broken context come through the stream.
    const id = await followBuild(stream, request.output)
    const image = await bounded(findImage(docker, request.tag), options.dockerTimeoutMs, signal)
    if (image) return image
    throw new DeployError('BUILD_FAILED', `the image ${id} was built but is not there: deploy again`)
  } catch (error) {
    if (silence.signal.aborted && !signal.aborted) {
      const message = `the build wrote nothing for ${options.buildSilenceMs / 1000} s (BUILD_SILENCE_TIMEOUT)`
      throw new DeployError('BUILD_STALLED', message)
    }
    throw refused(error, signal)
  } finally {
    clearTimeout(watchdog)
    request.context.destroy()
  }
}

type BuildStream = NodeJS.ReadableStream & AsyncIterable<Buffer>

/**
 * Not dockerode's buildImage(): for BuildKit it opens a session that neither a signal nor a failed build ends, for
 * registry logins that we do not have.
 */
function post(
  docker: Docker,
  request: BuildRequest,
  version: { version?: '2' },
  abortSignal: AbortSignal,
): Promise<BuildStream> {
  const { dockerfile, tag, labels, noCache } = request
  const options = { dockerfile, t: tag, labels, nocache: noCache, rm: true, forcerm: true, ...version }
  const statusCodes = { 200: true, 400: 'bad parameter', 500: 'server error' }
  const dialled = {
    path: '/build?',
    method: 'POST',
    file: request.context,
    options,
    abortSignal,
    isStream: true,
    statusCodes,
  }
  return new Promise((resolve, reject) => {
    docker.modem.dial(dialled, (error: Error | null, stream: unknown) =>
      error ? reject(error) : resolve(stream as BuildStream),
    )
  })
}

/** The engine refuses a build it cannot start (a Dockerfile that does not parse) before any stream. */
function refused(error: unknown, signal: AbortSignal): unknown {
  const { statusCode, message } = error as { statusCode?: number; message?: string }
  if (signal.aborted || error instanceof DeployError || statusCode === undefined) return error
  return new DeployError('BUILD_FAILED', `the Docker engine refused the build: ${message}`, { cause: error })
}

async function chooseBuilder(docker: Docker, options: BuildOptions): Promise<{ version?: '2' }> {
  if (options.builder === 'classic') return {}
  if (options.builder === 'buildkit') return { version: '2' }
  const { ApiVersion, Os } = await bounded(docker.version(), options.dockerTimeoutMs)
  const [major = 0, minor = 0] = ApiVersion.split('.').map(Number)
  return Os === 'linux' && (major > 1 || minor >= 39) ? { version: '2' } : {}
}

export async function findImage(docker: Docker, reference: string): Promise<Image | null> {
  const found = await gone(docker.getImage(reference).inspect())
  if (!found) return null
  const ports = Object.keys(found.Config.ExposedPorts ?? {})
    .filter((port) => port.endsWith('/tcp'))
    .map((port) => Number.parseInt(port, 10))
  return { id: found.Id, labels: found.Config.Labels ?? {}, exposedPorts: ports.sort((a, b) => a - b) }
}
