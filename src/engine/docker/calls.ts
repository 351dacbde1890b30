import type Docker from 'dockerode'
import { DeployError, InfrastructureError } from '../errors.js'
import type { EngineClient } from './client.js'
import { connectionError } from './engine-error.js'
import { isResourceExhaustion, outOfResources } from '../resource-exhaustion.js'

/** Calls of one engine, each within the time that a call may take, with errors as {@link call} has them. */
export class EngineCalls {
  /** @param dockerFor dockerode, whose GET requests end when the signal aborts */
  constructor(
    readonly client: EngineClient,
    private readonly dockerFor: (stop: AbortSignal) => Docker,
    private readonly options: { readonly dockerTimeoutMs: number },
  ) {}

  /**
   * `work` asks by the dockerode that it gets: what it asks ends with the wait for it.
   *
   * @param leastMs for what is known to take longer than a call may
   */
  make<T>(work: (docker: Docker) => Promise<T>, signal?: AbortSignal, leastMs = 0): Promise<T> {
    const ms = Math.max(leastMs, this.options.dockerTimeoutMs)
    return call(() => withTimeout((givenUp) => work(this.dockerFor(givenUp)), ms, signal), signal)
  }

  /**
   * A call that reads. It is sent once more when the connection breaks: the first call after a restart of the engine
   * may be sent on a connection that is dead already.
   */
  async query<T>(work: (docker: Docker) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const ask = async () => assertComplete(await this.make(work, signal))
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof InfrastructureError && isBroken(error.cause))) throw error
      return ask()
    }
  }

  /** {@link withTimeout} for the time that a call may take. */
  within<T>(work: (givenUp: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return withTimeout(work, this.options.dockerTimeoutMs, signal)
  }
}

/** Calls the engine, and tells one that is away from one that refuses; an aborted call rejects with the signal's reason. */
export async function call<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    signal?.throwIfAborted()
    return await work()
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    const { statusCode, message } = error as { statusCode?: number; message?: string }
    if (error instanceof DeployError || error instanceof InfrastructureError) throw error
    if (statusCode === undefined && isResourceExhaustion(error)) {
      throw outOfResources(`could not call the Docker engine: ${message}`, error)
    }
    if (statusCode === undefined) throw connectionError(error) ?? error
    if (statusCode >= 500) {
      throw new InfrastructureError('DOCKER_FAILED', `the Docker engine failed: ${message}`, error)
    }
    throw error
  }
}

/**
 * Gives up after `ms`, or when `signal` aborts: an engine that hangs is one that is away. The signal that `work` gets
 * aborts with that: a question that nobody waits for any more is not to stay open.
 */
export async function withTimeout<T>(
  work: (givenUp: AbortSignal) => Promise<T>,
  ms: number,
  signal?: AbortSignal,
): Promise<T> {
  signal?.throwIfAborted()
  const givenUp = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let stop: () => void = () => undefined
  const late = new Promise<never>((_resolve, reject) => {
    const giveUp = (reason: Error) => {
      reject(reason)
      givenUp.abort(reason)
    }
    const message = `the Docker engine did not answer within ${ms} ms`
    timer = setTimeout(() => giveUp(new InfrastructureError('DOCKER_UNREACHABLE', message)), ms)
    stop = () => giveUp(signal?.reason as Error)
    signal?.addEventListener('abort', stop, { once: true })
  })
  const working = call(() => work(givenUp.signal))
  working.catch(() => undefined)
  try {
    return await Promise.race([working, late])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', stop)
  }
}

/** An answer that was cut short comes as bytes that are no JSON: the engine went away in the middle of it. */
function assertComplete<T>(answer: T): T {
  if (!Buffer.isBuffer(answer) && typeof answer !== 'string') return answer
  throw new InfrastructureError(
    'DOCKER_UNREACHABLE',
    'the Docker engine closed the connection in the middle of a response',
  )
}

/** The connection ended without an answer. */
function isBroken(cause: unknown): boolean {
  const { code, message } = (cause ?? {}) as { code?: string; message?: string }
  return /ECONNRESET|EPIPE|socket hang up/.test(`${code} ${message}`)
}

/** An image that a container runs on cannot be removed yet (409): it goes with the next clean-up. */
export async function ignoreMissingOrInUse(work: Promise<unknown>): Promise<void> {
  try {
    await ignoreMissing(work)
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode !== 409) throw error
  }
}

/** 304 (already so) and 404 (not there) are what was wanted. */
export async function ignoreMissing<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work
  } catch (error) {
    const status = (error as { statusCode?: number }).statusCode
    if (status === 304 || status === 404) return null
    throw error
  }
}
