import assert from 'node:assert/strict'
import { followBuild } from '../../src/engine/docker/build-stream.js'
import { DeployError } from '../../src/engine/errors.js'

/** Messages of builds, as engines send them, and what is made of them. */

export type Field = readonly [field: number, value: number | string | Buffer]

export function varint(value: number): Buffer {
  const bytes: number[] = []
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) + 128)
  return Buffer.from([...bytes, value])
}

export function encode(...fields: readonly Field[]): Buffer {
  const parts = fields.map(([field, value]) => {
    if (typeof value === 'number') return Buffer.concat([varint(field * 8), varint(value)])
    const bytes = Buffer.from(value)
    return Buffer.concat([varint(field * 8 + 2), varint(bytes.length), bytes])
  })
  return Buffer.concat(parts)
}

export function trace(...fields: readonly Field[]): object {
  return { id: 'moby.buildkit.trace', aux: encode(...fields).toString('base64') }
}

export const vertex = (...fields: readonly Field[]): object => trace([1, encode(...fields)])
export const log = (stream: number, text: string, step = 'a'): object =>
  trace([3, encode([1, step], [3, stream], [4, text])])
export const TIME = encode([1, 1_790_000_000])
/** 12.345 s after it. */
export const LATER = encode([1, 1_790_000_012], [2, 345_000_000])
/** Of the classic builder's steps, which are timed here. */
export const untimed = (line: string): string => line.replace(/done in \d+\.\d s$/, 'done in 0.0 s')
export const ID = `sha256:${'a'.repeat(64)}`
export const IMAGE = { aux: { ID } }

/** Follows the messages, in pieces of `size` bytes, and gives what was written, in order. */
export async function follow(
  messages: readonly object[],
  size = 7,
): Promise<{ id: string; written: string[] }> {
  const written: string[] = []
  const id = await followTo(
    written,
    Buffer.from(messages.map((one) => `${JSON.stringify(one)}\n`).join('')),
    size,
  )
  return { id, written }
}

export function followTo(written: string[], bytes: Buffer, size: number): Promise<string> {
  async function* pieces(): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size))
  }
  return followBuild(pieces(), {
    line: (text) => void written.push(`line ${text}`),
    clipped: (text) => void written.push(`clipped ${text}`),
    bytes: async ({ source, bytes: some, prefix }) => {
      await new Promise((resolve) => setImmediate(resolve))
      written.push(`${source} ${prefix}${some.toString()}`)
    },
    ended: () => undefined,
  })
}

export async function failure(messages: readonly object[]): Promise<DeployError> {
  const error = await follow(messages).then(
    () => assert.fail('the build was taken for a success'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof DeployError, String(error))
  assert.equal(error.code, 'BUILD_FAILED')
  return error
}
