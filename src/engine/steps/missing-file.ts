import type { EntryKind } from '../git/git.js'
import { oneLine, quoteName } from '../quoted-text.js'
import type { DeploymentRun } from './deployment-run.js'
import type { BuildPlan } from './plan-build.js'

interface Build {
  readonly run: DeploymentRun
  readonly plan: BuildPlan
}

/** Where a path is that a build asks its context for in vain, and what to do. */
export async function findMissing(path: string, { run, plan }: Build): Promise<string> {
  const { contextPath } = run.configuration.build
  const shown = quoteName(path)
  const isAt = (one: string) => one === path || one.startsWith(`${path}/`)
  const ignored = [...plan.ignored].find(isAt)
  if (ignored !== undefined) {
    const file = plan.ignoreFile ?? 'an ignore file'
    return `${shown} is in the repository, but ${file} leaves it out of the build: take it out of that file, or add the line "!${oneLine(path, 200)}" at its end`
  }
  const otherCase = [...plan.sent.keys(), ...plan.ignored].find((one) => isEqualButCase(one, path))
  if (otherCase !== undefined) return `the repository has ${quoteName(otherCase)}: upper and lower case count`
  if (contextPath !== '.' && (await kindInRepository(path, { run, plan })) !== undefined) {
    return `${shown} is in the repository, but outside of contextPath "${contextPath}": set contextPath to ".", dockerfilePath to the Dockerfile's path from there, and copy paths from there`
  }
  if (await isGitIgnored(path, { run, plan })) {
    return `${shown} is not in the commit, as .gitignore names it: make it in a step of the Dockerfile, or commit it (git add -f)`
  }
  const name = path.slice(path.lastIndexOf('/') + 1)
  const elsewhere = [...plan.sent.keys()].find((one) => one.endsWith(`/${name}`))
  const hint = elsewhere === undefined ? '' : `; there is a ${quoteName(elsewhere)}`
  return `${shown} is not in the commit${hint}: commit it, correct the path, or make it in a step of the Dockerfile`
}

function isEqualButCase(one: string, other: string): boolean {
  return one.length === other.length && one.toLowerCase() === other.toLowerCase()
}

async function kindInRepository(path: string, { run, plan }: Build): Promise<EntryKind | undefined> {
  return (await plan.source.kindsOf([path], run.signal)).get(path)
}

/** By a plain line of the .gitignore in the root, which is where such names are. */
async function isGitIgnored(path: string, { run, plan }: Build): Promise<boolean> {
  const text = await plan.source.read('.gitignore', run.signal, 64 * 1024).catch(() => '')
  const names = text.split(/\r?\n/).map((line) => line.trim().replace(/^\/|\/$/g, ''))
  const parts = path.split('/')
  return parts.some(
    (part, index) => names.includes(part) || names.includes(parts.slice(0, index + 1).join('/')),
  )
}
