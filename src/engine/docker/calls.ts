import { setTimeout as sleep } from 'node:timers/promises'
import { DeployError, InfrastructureError } from '../errors.js'

const CALL_MS = 60_000
const UNREACHABLE = /ECONNREFUSED|ENOENT|ECONNRESET|EPIPE|ETIMEDOUT|EACCES|socket hang up/

/** Tells an engine that is away from one that refuses; an aborted call rejects with the signal's own reason. */
export async function call<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    const { statusCode, code, message } = error as { statusCode?: number; code?: string; message?: string }
    if (error instanceof DeployError || error instanceof InfrastructureError) throw error
    if (statusCode === undefined && UNREACHABLE.test(`${code} ${message}`)) {
      throw new InfrastructureError(
        'DOCKER_UNREACHABLE',
        `the Docker engine does not answer: ${message}`,
        error,
      )
    }
    throw error
  }
}

/** Gives up after `ms`: an engine that hangs is one that is away. */
export async function bounded<T>(work: Promise<T>, ms: number): Promise<T> {
  const timer = new AbortController()
  const late = sleep(ms, undefined, { signal: timer.signal, ref: false }).then(() => {
    throw new InfrastructureError('DOCKER_UNREACHABLE', `the Docker engine did not answer within ${ms} ms`)
  })
  late.catch(() => undefined)
  work.catch(() => undefined)
  try {
    return await Promise.race([call(() => work), late])
  } finally {
    timer.abort()
  }
}

/** 304 (already so) and 404 (not there) are what was wanted. */
export async function gone<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await bounded(work, CALL_MS)
  } catch (error) {
    const status = (error as { statusCode?: number }).statusCode
    if (status === 304 || status === 404) return null
    throw error
  }
}
