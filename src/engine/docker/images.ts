import type Docker from 'dockerode'
import type { Readable } from 'node:stream'
import type { BuilderChoice } from '../../config.js'
import { DeployError } from '../errors.js'
import { hasBuildkit } from './check-engine.js'
import type { BuildLimiter, LimitedBuild } from './build-limits.js'
import { openBuildSession } from './build-session.js'
import { BuildSteps } from './build-steps.js'
import { followBuild } from './build-stream.js'
import { call, type EngineCalls, ignoreMissing } from './calls.js'
import type { EngineClient } from './client.js'
import { abortOnFailure } from './abort-on-failure.js'
import type { BuildRequest, Image } from './docker.js'
import { isFileNameError } from './engine-messages.js'

/** A build, and how it is made. */
export interface ImageBuild {
  readonly request: BuildRequest
  readonly builder: BuilderChoice
  /** How long it may write nothing. */
  readonly silenceMs: number
  readonly limiter: BuildLimiter
}

/**
 * Builds an image, writes what the build says, and inspects the result: only what is there counts as built. Bounded by its
 * silence and, by the caller, as a whole.
 */
export function buildImage(calls: EngineCalls, build: ImageBuild, signal: AbortSignal): Promise<Image> {
  return call(() => carryOut(calls, build, signal), signal)
}

async function carryOut(
  calls: EngineCalls,
  { request, builder, silenceMs, limiter }: ImageBuild,
  signal: AbortSignal,
): Promise<Image> {
  const silence = new AbortController()
  const broken = new AbortController()
  const either = AbortSignal.any([signal, silence.signal, broken.signal])
  const watchdog = setTimeout(() => silence.abort(), silenceMs)
  const steps = new BuildSteps(request.output)
  let limited: LimitedBuild | null = null
  let tar: Readable | null = null
  try {
    const isBuildkit = await usesBuildkit(calls, builder, either)
    limited = await calls.within(() => limiter.begin(isBuildkit), either)
    if (!isBuildkit) refuseSecrets(request)
    const offer = { ...request, failed: (error: unknown) => broken.abort(error) }
    using session = isBuildkit ? await openBuildSession(calls, offer, either) : null
    tar = isBuildkit ? null : request.context.tar(either)
    if (tar) abortOnFailure(tar, broken)
    const parameters = {
      ...limited.parameters,
      ...optionsOf(request),
      ...(session ? { version: '2', session: session.id, remote: 'client-session' } : {}),
    }
    const stream = await post(calls.client, { tar, parameters }, either)
    stream.on('data', () => watchdog.refresh())
    const id = await followBuild(stream, request.output, steps)
    const image = await calls.make((docker) => findImage(docker, request.tag), signal)
    if (image) return image
    throw new DeployError('BUILD_FAILED', `the image ${id} was built but no longer exists: deploy again`)
  } catch (error) {
    // What the engine says of a context that broke off is a consequence.
    if (broken.signal.aborted && !signal.aborted) throw broken.signal.reason
    if (silence.signal.aborted && !signal.aborted) {
      const message = `the build had no output for ${silenceMs / 1000} s (BUILD_SILENCE_TIMEOUT)${steps.during()}`
      throw new DeployError('BUILD_STALLED', message, { lastLines: steps.lastLines(message) })
    }
    throw namesRefused(error, request) ?? (await limited?.explain(refused(error, signal))) ?? error
  } finally {
    clearTimeout(watchdog)
    tar?.destroy()
  }
}

/** BuildKit does not say which name it was. */
function namesRefused(error: unknown, { context }: BuildRequest): DeployError | null {
  if (!(error instanceof DeployError) || !isFileNameError(error.message)) return null
  const path = context.entries.find(({ rawPath }) => rawPath !== null)?.path ?? 'them'
  const message = `this engine's BuildKit accepts only UTF-8 file names: rename ${path}, list it in .dockerignore, or set BUILDER=classic`
  return new DeployError('BUILD_FAILED', message)
}

function refuseSecrets({ secrets }: BuildRequest): void {
  if (secrets.size === 0) return
  const names = [...secrets.keys()].join(', ')
  const message = `the classic builder cannot keep ${names} secret: use BuildKit (BUILDER=auto on an engine that has it), or make them plain variables`
  throw new DeployError('BUILD_SECRETS_NEED_BUILDKIT', message)
}

interface PostedBuild {
  /** Null: no body, the engine has the files over the session. */
  readonly tar: Readable | null
  readonly parameters: Readonly<Record<string, unknown>>
}

/**
 * Not dockerode's buildImage(): for BuildKit it opens a session that neither a signal nor a failed build ends, for
 * registry logins that we do not have.
 */
function post(
  client: EngineClient,
  { tar, parameters }: PostedBuild,
  signal: AbortSignal,
): Promise<Readable> {
  const statusCodes = { 200: true, 400: 'bad parameter', 500: 'server error' } as const
  const asked = { method: 'POST', path: '/build', query: parameters, statusCodes, signal }
  return client.open(tar ? { ...asked, body: tar } : asked)
}

function optionsOf({ dockerfile, tag, labels, noCache, target, args, platform }: BuildRequest) {
  return {
    dockerfile,
    t: tag,
    labels,
    nocache: noCache,
    buildargs: args,
    rm: true,
    forcerm: true,
    ...(target === null ? {} : { target }),
    ...(platform === null ? {} : { platform }),
  }
}

/** The engine refuses a build it cannot start (a Dockerfile that does not parse) before any stream. */
function refused(error: unknown, signal: AbortSignal): unknown {
  const { statusCode, message } = error as { statusCode?: number; message?: string }
  if (signal.aborted || error instanceof DeployError || statusCode === undefined) return error
  return new DeployError('BUILD_FAILED', `the Docker engine refused the build: ${message}`, { cause: error })
}

export async function usesBuildkit(
  calls: EngineCalls,
  builder: BuilderChoice,
  signal: AbortSignal,
): Promise<boolean> {
  if (builder !== 'auto') return builder === 'buildkit'
  return hasBuildkit(await calls.make((docker) => docker.version(), signal))
}

export async function findImage(docker: Docker, reference: string): Promise<Image | null> {
  const found = await ignoreMissing(docker.getImage(reference).inspect())
  if (!found) return null
  const ports = Object.keys(found.Config.ExposedPorts ?? {})
    .filter((port) => port.endsWith('/tcp'))
    .map((port) => Number.parseInt(port, 10))
  return {
    id: found.Id,
    labels: found.Config.Labels ?? {},
    exposedPorts: ports.sort((a, b) => a - b),
    volumes: Object.keys(found.Config.Volumes ?? {}).sort(),
  }
}
