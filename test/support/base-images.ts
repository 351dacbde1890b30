import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { docker } from './docker.js'
import { BASE_IMAGE } from './repository.js'

/**
 * Base images of languages, made of what is on this machine, since no registry can be reached: the real Node.js and npm,
 * the real CPython, busybox for everything else. Go and Rust have **stand-ins for their compilers**: scripts that take
 * the same arguments and write a program which serves the folder that it stands in. What is made stays for the next run,
 * as the tests' busybox does, under a name that says what it was made of.
 */
export class BaseImages {
  /** Settings of Longshore that name them. */
  readonly settings = {
    DETECT_NODE_IMAGE: `${nameOf('node')}:{version}`,
    DETECT_PYTHON_IMAGE: `${nameOf('python')}:{version}`,
    DETECT_GO_IMAGE: `${nameOf('go')}:1`,
    DETECT_RUST_IMAGE: `${nameOf('rust')}:{version}`,
    DETECT_RUNTIME_IMAGE: `${nameOf('runtime')}:1`,
    DETECT_STATIC_IMAGE: `${nameOf('static')}:1`,
  }

  constructor() {
    for (const name of ['static', 'runtime']) make(`${nameOf(name)}:1`, () => undefined)
  }

  node(version: string): void {
    make(`${nameOf('node')}:${version}`, (root) => {
      copyProgram(root, process.execPath, 'usr/local/bin/node')
      cpSync(npmHere(), join(root, 'usr/local/lib/npm'), { recursive: true })
      script(root, 'usr/local/bin/npm', 'exec node /usr/local/lib/npm/bin/npm-cli.js "$@"')
    })
  }

  /** Without its tests and whatever has been installed. */
  python(version: string): void {
    make(`${nameOf('python')}:${version}`, (root) => {
      const { prefix, library } = pythonHere()
      const left = /\/(test|tests|site-packages|__pycache__|idlelib|tkinter|lib2to3|config-[^/]*)(\/|$)|\.a$/
      cpSync(library, join(root, library), {
        recursive: true,
        filter: (path) => !left.test(path.slice(library.length)),
      })
      mkdirSync(join(root, library, 'site-packages'))
      const program = realpathSync(join(prefix, 'bin/python3'))
      copyProgram(root, program, program)
      for (const name of ['python', 'python3']) link(root, `usr/local/bin/${name}`, program)
      const modules = join(library, 'lib-dynload')
      for (const name of readdirSync(modules)) copyLibraries(root, join(modules, name))
    })
  }

  /** A stand-in: `go mod download` does nothing, `go build … -o FILE PACKAGE` writes a server. */
  go(): void {
    make(`${nameOf('go')}:1`, (root) => {
      const build = 'while [ $# -gt 0 ]; do [ "$1" = -o ] && out=$2; last=$1; shift; done'
      const write = `mkdir -p "$(dirname "$out")" && printf '${SERVER}' > "$out" && chmod +x "$out"`
      script(
        root,
        'usr/local/bin/go',
        `[ "$1" = mod ] && exec test -f go.mod\n${build}\ntest -e "$last" && ${write}`,
      )
    })
  }

  /** A stand-in: `cargo build … --bin NAME` writes a server to target/release. */
  rust(version: string): void {
    make(`${nameOf('rust')}:${version}`, (root) => {
      const build = 'while [ $# -gt 0 ]; do name=$1; shift; done; test -f src/main.rs || exit 1'
      const write = `mkdir -p target/release && printf '${SERVER}' > "target/release/$name" && chmod +x "target/release/$name"`
      script(root, 'usr/local/bin/cargo', `${build}\n${write}`)
    })
  }

  /** What a Dockerfile calls one of them by: never a public name, which may be an image of somebody here. */
  name(setting: keyof BaseImages['settings'], version = '1'): string {
    return this.settings[setting].replace('{version}', version)
  }
}

/** To be raised when images are made in another way. */
const MADE_AS = 1

function nameOf(language: string): string {
  const mark = createHash('sha256')
    .update(`${MADE_AS} ${madeOf(language)}`)
    .digest('hex')
    .slice(0, 8)
  return `longshore-test/${language}-${mark}`
}

/** The programs of this machine that are in an image. */
function madeOf(language: string): string {
  if (language === 'node')
    return `${process.version} ${readFileSync(join(npmHere(), 'package.json'), 'utf8')}`
  return language === 'python' && noPython() === false ? JSON.stringify(pythonHere()) : ''
}

function make(name: string, fill: (root: string) => void): void {
  if (docker('images', '-q', name) !== '') return
  const root = mkdtempSync(join(tmpdir(), 'longshore-base-'))
  try {
    fillBasics(root)
    fill(root)
    const tar = execFileSync('tar', ['-c', '--owner=0', '--group=0', '-C', root, '.'], { maxBuffer: 2 ** 30 })
    const path = 'ENV PATH=/usr/local/bin:/usr/bin:/bin'
    execFileSync('docker', ['import', '--change', path, '-', name], {
      input: tar,
      stdio: ['pipe', 'ignore', 'pipe'],
    })
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

/** What the stand-ins make: a web server of the folder that it is started in. */
const SERVER = '#!/bin/sh\\nexec httpd -f -p "$PORT" -h .\\n'

/** Why there is no Python image here; false: there is. */
export function noPython(): string | false {
  try {
    // Debian has the module without the pip that it installs.
    const bundled = join(pythonHere().library, 'ensurepip/_bundled')
    return existsSync(bundled) ? false : 'needs a Python with ensurepip'
  } catch {
    return 'needs Python 3'
  }
}

function npmHere(): string {
  return dirname(dirname(realpathSync(which('npm'))))
}

function pythonHere(): { prefix: string; library: string; version: string } {
  const ask =
    'import sys, sysconfig; print(sys.base_prefix, sysconfig.get_path("stdlib"), sys.version, sep="\\n")'
  const [prefix = '', library = '', version = ''] = execFileSync('python3', ['-c', ask], {
    encoding: 'utf8',
  }).split('\n')
  return { prefix, library, version }
}

function fillBasics(root: string): void {
  for (const folder of ['bin', 'tmp', 'etc/ssl/certs', 'usr/local/bin'])
    mkdirSync(join(root, folder), { recursive: true })
  chmodSync(join(root, 'tmp'), 0o1777)
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n')
  const container = docker('create', BASE_IMAGE, 'x')
  try {
    docker('cp', `${container}:/bin/busybox`, join(root, 'bin/busybox'))
  } finally {
    docker('rm', container)
  }
  const names = execFileSync(join(root, 'bin/busybox'), ['--list'], { encoding: 'utf8' }).split('\n')
  for (const name of names.filter((one) => one !== '' && one !== 'busybox'))
    link(root, `bin/${name}`, 'busybox')
}

function which(name: string): string {
  return execFileSync('which', [name], { encoding: 'utf8' }).trim()
}

function link(root: string, path: string, target: string): void {
  symlinkSync(target, join(root, path))
}

function script(root: string, path: string, lines: string): void {
  writeFileSync(join(root, path), `#!/bin/sh\n${lines}\n`, { mode: 0o755 })
}

function copyProgram(root: string, from: string, to: string): void {
  mkdirSync(dirname(join(root, to)), { recursive: true })
  cpSync(from, join(root, to))
  copyLibraries(root, from)
}

/** What the loader would look for, at the same places. */
function copyLibraries(root: string, program: string): void {
  const said = execFileSync('ldd', [program], { encoding: 'utf8' })
  for (const [path] of said.matchAll(/\/\S+(?= \(0x)/g)) {
    if (existsSync(join(root, path))) continue
    mkdirSync(dirname(join(root, path)), { recursive: true })
    cpSync(realpathSync(path), join(root, path))
  }
}
