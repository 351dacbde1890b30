import type { Row } from './build-failures.js'

const FRONTEND =
  'docker build failed: failed to solve with frontend dockerfile.v0: failed to create LLB definition: '
const LOOKUP = 'dial tcp: lookup registry-1.docker.io on 10.255.255.53:53: no such host'
const OCI = 'unable to start container process: '
export const STAGES = 'FROM a AS one\nRUN x\n from --platform=$BUILDPLATFORM b as Two\nFROM c\n'
const WITH_SYNTAX = '# syntax=docker/dockerfile:1.3\nFROM a\n'
const MOUNT = 'FROM a\nCOPY --from=nostage /nope /x\n'

/** What stages, images or the programs of steps lack. */
export const STEP_FAILURES: Readonly<Record<string, readonly Row[]>> = {
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
