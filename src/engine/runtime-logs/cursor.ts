import type { DeploymentPosition, StreamPosition } from '../../entities/runtime-log-viewer.js'
import { badInput } from '../command-error.js'

/** More than a cursor of four deployments with 20 replicas each has. */
const MAX_LENGTH = 64 * 1024
/** Deployments whose place is kept: traffic may go back to them. */
export const POSITIONS_KEPT = 4
const MAX_STREAMS = 40
const ID = /^[a-z][a-z0-9]{11}$/
/** RFC 3339 in UTC with nine digits, which sorts as it is. */
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{9}Z$/
const STREAM = /^[a-z0-9-]{1,63}\/(?:STDOUT|STDERR)$/

/** Where a viewer stands, opaque for it. */
export function encodePlaces(places: readonly DeploymentPosition[]): string {
  return Buffer.from(JSON.stringify(places)).toString('base64url')
}

/** @throws CommandError BAD_USER_INPUT for what {@link encodePlaces} has not given */
export function decodePlaces(cursor: string): DeploymentPosition[] {
  const places = cursor.length <= MAX_LENGTH ? parse(cursor) : null
  const isList = Array.isArray(places) && places.length >= 1 && places.length <= POSITIONS_KEPT
  if (!isList || !places.every(isPlace)) throw badInput('after', 'is not a cursor of a runtime log')
  return places
}

function parse(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')) as unknown
  } catch {
    return null
  }
}

function isPlace(value: unknown): value is DeploymentPosition {
  const { deploymentId, from, shown } = (value ?? {}) as Record<string, unknown>
  if (typeof deploymentId !== 'string' || !ID.test(deploymentId)) return false
  if (from !== null && !isTime(from)) return false
  if (typeof shown !== 'object' || shown === null) return false
  const streams = Object.entries(shown)
  return streams.length <= MAX_STREAMS && streams.every(([key, at]) => STREAM.test(key) && isPosition(at))
}

function isPosition(value: unknown): value is StreamPosition {
  const { at, seen } = (value ?? {}) as Record<string, unknown>
  return (at === '' || isTime(at)) && Number.isSafeInteger(seen) && (seen as number) >= 0
}

function isTime(value: unknown): boolean {
  return typeof value === 'string' && TIME.test(value)
}
