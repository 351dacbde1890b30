import assert from 'node:assert/strict'
import { readConfig } from '../../src/config.js'
import { detect } from '../../src/engine/detect/detect.js'
import type { DetectedBuild, Images } from '../../src/engine/detect/detected-build.js'

const { baseImages } = readConfig({})

type Files = Readonly<Record<string, string>>

export function found(files: Files, images: Partial<Images> = {}) {
  const folders = Object.keys(files).flatMap((path) =>
    path
      .split('/')
      .slice(0, -1)
      .map((_, index, parts) => `${parts.slice(0, index + 1).join('/')}/`),
  )
  return detect(
    { paths: new Set([...Object.keys(files), ...folders]), texts: new Map(Object.entries(files)) },
    { ...baseImages, ...images },
  )
}

export function recipe(files: Files, images: Partial<Images> = {}): DetectedBuild {
  const result = found(files, images)
  if (!result || 'problem' in result) return assert.fail(JSON.stringify(result))
  return result
}

export function problem(files: Files): string {
  const result = found(files)
  if (!result || !('problem' in result)) return assert.fail(JSON.stringify(result))
  return result.problem
}

/** All of these lines, in this order. */
export function has(text: string, lines: readonly string[]): void {
  let rest = text.split('\n')
  for (const line of lines) {
    const at = rest.indexOf(line)
    assert.ok(at >= 0, `"${line}" is missing, or not in its place, in\n${text}`)
    rest = rest.slice(at + 1)
  }
}

export const json = (value: object) => JSON.stringify(value)
