import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** What npm itself writes last when it has installed: what is in node_modules, in the form of package-lock.json. */
const INSTALLED = 'node_modules/.package-lock.json'
/** What an `npm ci` of ours has made of which package-lock.json: with some settings of npm that is less than all of it. */
const MARKER = 'node_modules/.longshore-lock'
const PREFIX = 'node_modules/'

/**
 * Whether node_modules in `root` is what package-lock.json says, whoever installed it.
 *
 * @param need `production`, or `all` for what compiles and tests as well
 */
export function isInstalled(root, need) {
  const [lock, installed] = [read(root, 'package-lock.json'), read(root, INSTALLED)]
  const there = packagesOf(installed)
  if (there === null) return false
  const isOurs = read(root, MARKER) === fingerprint(lock, installed)
  if (!isOurs && missingPackages(packagesOf(lock) ?? {}, there, need).length > 0) return false
  // npm writes there also what it has not installed (--package-lock-only); and what was deleted since is not there.
  return Object.entries(there).every(([path, { version }]) => versionIn(root, path) === version)
}

/** Undefined: there is no such package. */
function versionIn(root, path) {
  return parsed(read(root, join(path, 'package.json')))?.version
}

/** To be called after an `npm ci` of everything: what it has left out is not to be had. */
export function markInstalled(root) {
  const installed = read(root, INSTALLED)
  if (installed !== null)
    writeFileSync(join(root, MARKER), fingerprint(read(root, 'package-lock.json'), installed))
}

/**
 * Paths of packages that `wanted` has and `there` has not, or has in another version: both as `packages` of a lock file.
 *
 * @param machine as `process`
 */
export function missingPackages(wanted, there, need, machine = process) {
  const named = wanted['']?.optionalDependencies ?? {}
  const mayBeAbsent = (path, { dev, optional, devOptional, ...about }) => {
    // Those of other machines, and what only they need. Tests need the ones of this machine that we name.
    if (optional) return !(need === 'all' && path.slice(PREFIX.length) in named && runsOn(about, machine))
    return need === 'production' && Boolean(dev || devOptional)
  }
  return Object.entries(wanted)
    .filter(([path]) => path.startsWith(PREFIX))
    .filter(([path, about]) => {
      const found = there[path]
      return found ? !isSame(about, found) : !mayBeAbsent(path, about)
    })
    .map(([path]) => path)
}

/** Where a package comes from is left out: npm can be told to write it in neither file. What has no hash has only that. */
function isSame(one, other) {
  if (one.integrity && other.integrity) return one.integrity === other.integrity
  if (one.resolved && other.resolved && one.resolved !== other.resolved) return false
  return one.version === other.version
}

function runsOn({ os, cpu, libc }, { platform, arch }) {
  return fits(os, platform) && fits(cpu, arch) && libc === undefined
}

/** npm's `os` and `cpu`: names, or names that are excluded. */
function fits(names, name) {
  if (names === undefined) return true
  const isExcluded = names.includes(`!${name}`)
  return !isExcluded && (names.includes(name) || names.every((one) => one.startsWith('!')))
}

function fingerprint(lock, installed) {
  return createHash('sha256').update(`${lock}\0${installed}`).digest('hex')
}

function packagesOf(text) {
  return parsed(text)?.packages ?? null
}

/** Null: there is none, or it is broken. */
function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** Null: there is no such file. */
function read(root, path) {
  const file = join(root, path)
  return existsSync(file) ? readFileSync(file, 'utf8') : null
}
