import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type BuildFacts, stagesOf } from '../../src/engine/docker/build-advice.js'
import { BUILD_FAILURES, buildAdvice } from '../../src/engine/docker/build-failures.js'

/** Recorded from Debian's 20.10.24 and from 29.4.0, with BuildKit and the classic builder. */
interface Row {
  readonly engine: '20.10' | '29' | 'both'
  readonly builder?: 'classic'
  readonly dockerfile?: string
  readonly message: string
  readonly lastLines?: readonly string[]
  readonly advice: RegExp
}

const FRONTEND =
  'docker build failed: failed to solve with frontend dockerfile.v0: failed to create LLB definition: '
const REF = 'failed to calculate checksum of ref l365b9fa7mw6e0nnbhitcw75h::uuibbew75gb55gs56fkgvwob0: '
const LOOKUP = 'dial tcp: lookup registry-1.docker.io on 10.255.255.53:53: no such host'
const OCI = 'unable to start container process: '
const STAGES = 'FROM a AS one\nRUN x\n from --platform=$BUILDPLATFORM b as Two\nFROM c\n'
const WITH_SYNTAX = '# syntax=docker/dockerfile:1.3\nFROM a\n'
const MOUNT = 'FROM a\nCOPY --from=nostage /nope /x\n'

const ROWS: Readonly<Record<string, readonly Row[]>> = {
  'a file that is not in the context': [
    {
      engine: '20.10',
      message: 'failed to compute cache key: "/a/nope.txt" not found: not found',
      advice: /^missing a\/nope\.txt$/,
    },
    {
      engine: '29',
      message: `failed to compute cache key: ${REF}"/nope": not found`,
      advice: /^missing nope$/,
    },
    {
      engine: 'both',
      builder: 'classic',
      message:
        'COPY failed: file not found in build context or excluded by .dockerignore: stat a/: file does not exist',
      advice: /^missing a$/,
    },
    {
      engine: 'both',
      builder: 'classic',
      message:
        'ADD failed: file not found in build context or excluded by .dockerignore: stat nope: file does not exist',
      advice: /^missing nope$/,
    },
    {
      engine: 'both',
      builder: 'classic',
      message: 'COPY failed: no source files were specified',
      advice: /no file of the commit fits/,
    },
  ],
  'a file outside of the context': [
    {
      engine: '20.10',
      dockerfile: 'FROM a\nCOPY ../y /x/\n',
      message: 'failed to compute cache key: "/y" not found: not found',
      advice: /only what is inside of contextPath/,
    },
    {
      engine: '29',
      dockerfile: 'FROM a\nCOPY ../y /x/\n',
      message: `failed to compute cache key: ${REF}"/y": not found`,
      advice: /only what is inside of contextPath/,
    },
    {
      engine: 'both',
      builder: 'classic',
      message: 'COPY failed: forbidden path outside the build context: ../y ()',
      advice: /only what is inside of contextPath/,
    },
  ],
  'a file that another stage does not have': [
    {
      engine: '20.10',
      message:
        'docker build failed: lstat /var/lib/docker/overlay2/405b/merged/nope: no such file or directory',
      advice: /COPY --from names has no "\/nope"/,
    },
    {
      engine: '29',
      message: 'docker build failed: lstat /nope: no such file or directory',
      advice: /COPY --from names has no "\/nope"/,
    },
    {
      engine: 'both',
      builder: 'classic',
      message: 'docker build failed: COPY failed: stat nope: file does not exist',
      advice: /COPY --from names has no "nope"/,
    },
  ],
  'a secret that the build does not get': [
    {
      engine: '20.10',
      message: 'docker build failed: secret TOK not found: not found',
      advice: /^set TOK as a variable .*buildSecret: true/,
    },
    { engine: '29', message: 'docker build failed: secret TOK: not found', advice: /^set TOK as a variable/ },
    {
      engine: '29',
      message: 'docker build failed: secret PLAIN: not found',
      advice: /^PLAIN is a variable of the stage that builds do not get/,
    },
    {
      engine: 'both',
      message: 'executor failed running [x]: exit code: 1',
      lastLines: ["cat: can't open '/run/secrets/TOK': No such file or directory"],
      advice: /^set TOK as a variable/,
    },
    {
      engine: 'both',
      message: 'executor failed running [x]: exit code: 1',
      lastLines: ["cat: can't open '/run/secrets/GIVEN': No such file or directory"],
      advice: /^$/,
    },
    {
      engine: 'both',
      message: 'docker build failed: no SSH key "" forwarded from the client',
      advice: /no SSH agent/,
    },
  ],
  'what this builder does not know': [
    {
      engine: '20.10',
      message: `${FRONTEND}dockerfile parse error line 2: Unknown flag: start-interval`,
      advice:
        /this engine does not know --start-interval: make "# syntax=docker\/dockerfile:1".*Engines before 25/,
    },
    {
      engine: '20.10',
      builder: 'classic',
      message: 'dockerfile parse error line 2: Unknown flag: start-interval',
      advice: /BUILDER=auto/,
    },
    {
      engine: '20.10',
      message: `${FRONTEND}dockerfile parse error line 2: Unknown flag: link`,
      advice: /does not know --link: make "# syntax/,
    },
    {
      engine: '20.10',
      dockerfile: WITH_SYNTAX,
      message: `${FRONTEND}dockerfile parse error line 2: Unknown flag: parents`,
      advice: /"# syntax=" line names does not know --parents/,
    },
    {
      engine: '29',
      message: 'dockerfile parse error on line 2: unknown flag: --frob (did you mean from?)',
      advice: /check the spelling of --frob/,
    },
    {
      engine: '20.10',
      message: `${FRONTEND}dockerfile parse error line 2: unexpected key 'env' in 'env=TOK'`,
      advice: /does not know the key "env"/,
    },
    {
      engine: '20.10',
      dockerfile: 'FROM a\nRUN <<EOF\necho hi\nEOF\n',
      message: `${FRONTEND}dockerfile parse error line 3: unknown instruction: ECHO`,
      advice: /here-documents/,
    },
    {
      engine: 'both',
      builder: 'classic',
      message: 'the --mount option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/',
      advice: /BUILDER=auto/,
    },
    {
      engine: '29',
      builder: 'classic',
      message: 'the --network option requires BuildKit. Refer to x',
      advice: /does not know --network: set BUILDER=auto/,
    },
    {
      engine: '29',
      message: 'failed to load LLB: security.insecure is not allowed',
      advice: /without privileges/,
    },
  ],
  'a stage that is not there': [
    {
      engine: '20.10',
      dockerfile: STAGES,
      message: `${FRONTEND}target stage moon could not be found`,
      advice: /has the stages one, Two, 2: set the app's target/,
    },
    {
      engine: '29',
      dockerfile: STAGES,
      message: 'target stage "moon" could not be found',
      advice: /has the stages one, Two, 2/,
    },
    {
      engine: '20.10',
      builder: 'classic',
      dockerfile: STAGES,
      message: 'failed to reach build target moon in Dockerfile',
      advice: /has the stages one, Two, 2/,
    },
    {
      engine: '20.10',
      dockerfile: STAGES,
      message: `${FRONTEND}invalid stage index 3`,
      advice: /no stage is called "3"/,
    },
    {
      engine: 'both',
      builder: 'classic',
      dockerfile: STAGES,
      message: 'invalid from flag value 3: index out of bounds',
      advice: /no stage is called "3"/,
    },
    {
      engine: '29',
      dockerfile: STAGES,
      message:
        'failed to parse stage name "Build": invalid reference format: repository name (library/Build) must be lowercase',
      advice: /no stage is called "Build": the Dockerfile has the stages/,
    },
    {
      engine: '20.10',
      dockerfile: MOUNT,
      message: `failed to load cache key: failed to do request: Head "https://registry-1.docker.io/v2/library/nostage/manifests/latest": ${LOOKUP}`,
      advice: /no stage is called "nostage".*taken for an image/,
    },
    {
      engine: '29',
      dockerfile: MOUNT,
      message: `nostage: failed to resolve source metadata for docker.io/library/nostage:latest: failed to do request: Head "https://registry-1.docker.io/v2/library/nostage/manifests/latest": ${LOOKUP}`,
      advice: /no stage is called "nostage"/,
    },
    {
      engine: '20.10',
      builder: 'classic',
      dockerfile: MOUNT,
      message: `invalid from flag value nostage: Get "https://registry-1.docker.io/v2/": ${LOOKUP}`,
      advice: /no stage is called "nostage"/,
    },
  ],
  'an image that cannot be fetched': [
    {
      engine: '20.10',
      message: `${FRONTEND}failed to do request: Head "https://registry-1.docker.io/v2/acme/base/manifests/1": ${LOOKUP}`,
      advice: /does not reach the registry of acme\/base/,
    },
    {
      engine: '29',
      dockerfile: WITH_SYNTAX,
      message: `failed to resolve source metadata for docker.io/docker/dockerfile:1: failed to do request: Head "https://registry-1.docker.io/v2/docker/dockerfile/manifests/1": ${LOOKUP}`,
      advice: /"# syntax=" line makes the engine fetch/,
    },
    {
      engine: 'both',
      message: 'base name (${BASE}) should not be blank',
      advice: /build argument BASE .*ARG BASE=/,
    },
    {
      engine: '20.10',
      builder: 'classic',
      message: 'invalid reference format: repository name must be lowercase',
      advice: /in lower case/,
    },
  ],
  'a Dockerfile that is none': [
    { engine: '20.10', message: `${FRONTEND}file with no instructions`, advice: /begins with FROM/ },
    {
      engine: 'both',
      builder: 'classic',
      message: 'no build stage in current context',
      advice: /begins with FROM/,
    },
    {
      engine: '29',
      message: 'dockerfile parse error on line 2: unknown instruction: FRUM (did you mean FROM?)',
      advice: /no instruction is called FRUM: .*ends with "\\"/,
    },
  ],
  'a program of a step': [
    {
      engine: 'both',
      message: 'exit code: 127',
      lastLines: ["env: can't execute 'sh\r': No such file or directory"],
      advice: /CRLF/,
    },
    {
      engine: 'both',
      message: 'exit code: 126',
      lastLines: ['/bin/sh: ./a.sh: /bin/bash^M: bad interpreter: No such file or directory'],
      advice: /CRLF/,
    },
    {
      engine: '20.10',
      message: 'executor failed running [/bin/busybox sh -c /a.sh]: exit code: 127',
      lastLines: ['sh: /a.sh: not found'],
      advice: /^program \/a\.sh$/,
    },
    {
      engine: '29',
      message: 'process "/bin/sh -c nope" did not complete successfully: exit code: 127',
      lastLines: ['/bin/sh: 1: nope: not found'],
      advice: /^program nope$/,
    },
    {
      engine: '29',
      message: 'exit code: 127',
      lastLines: ['/bin/sh: line 1: nope: command not found'],
      advice: /^program nope$/,
    },
    {
      engine: '20.10',
      message: 'executor failed running [nope]: exit code: 1',
      lastLines: [`runc run failed: ${OCI}exec: "nope": executable file not found in $PATH`],
      advice: /^program nope$/,
    },
    {
      engine: '29',
      builder: 'classic',
      message: `failed to create task for container: ${OCI}error during container init: exec: "other": executable file not found in $PATH`,
      advice: /no program "other": install it/,
    },
    {
      engine: '20.10',
      message: 'exit code: 1',
      lastLines: [`runc run failed: ${OCI}exec: "/a.sh": permission denied`],
      advice: /chmod=\+x/,
    },
    {
      engine: 'both',
      message: 'exit code: 126',
      lastLines: ['sh: /a.sh: Permission denied'],
      advice: /^\/a\.sh may not be executed/,
    },
    {
      engine: '29',
      message: 'exit code: 1',
      lastLines: [
        `runc run failed: ${OCI}error during container init: exec: "/bin/sh": stat /bin/sh: no such file or directory`,
      ],
      advice: /has no \/bin\/sh/,
    },
    {
      engine: 'both',
      message: 'exit code: 1',
      lastLines: ['exec /bin/other: exec format error'],
      advice: /for another processor/,
    },
    {
      engine: '20.10',
      message: 'executor failed running [x]: unable to find user nobody2: invalid argument',
      advice: /no user nobody2/,
    },
  ],
  'nothing that is known': [
    {
      engine: 'both',
      message: 'executor failed running [make]: exit code: 2',
      lastLines: ['main.c:1: error: no such type'],
      advice: /^$/,
    },
  ],
}

describe('what to do about a build that has failed', () => {
  for (const [what, rows] of Object.entries(ROWS)) {
    for (const { engine, builder, dockerfile = 'FROM a\n', message, lastLines = [], advice } of rows) {
      test(`${what}: ${engine}${builder ? `, ${builder}` : ''}: ${message.slice(-60)}`, async () => {
        const facts: BuildFacts = {
          isBuildkit: builder !== 'classic',
          dockerfile,
          secrets: new Set(['GIVEN']),
          variables: new Set(['PLAIN']),
          missingFile: (path) => Promise.resolve(`missing ${path}`),
          program: (path) => Promise.resolve(/other/.test(path) ? null : `program ${path}`),
        }
        assert.match(await buildAdvice({ message, lastLines }, facts), advice)
      })
    }
  }

  test('has a recorded text for each of its rows', () => {
    const all = Object.values(ROWS).flat()
    const lacking = BUILD_FAILURES.filter(
      ({ says }) => !all.some(({ message, lastLines = [] }) => says.test([message, ...lastLines].join('\n'))),
    )
    assert.deepEqual(
      lacking.map(({ name }) => name),
      [],
    )
  })

  test('names stages as a target names them', () => {
    assert.deepEqual(stagesOf(STAGES), ['one', 'Two', '2'])
    assert.deepEqual(stagesOf('# FROM x AS y\nRUN x\n'), [])
  })
})
