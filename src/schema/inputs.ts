import { Field, Float, InputType, Int } from 'type-graphql'

@InputType('VariableInput', { description: 'An environment variable of a stage.' })
export class VariableInput {
  @Field(() => String, {
    description: 'The name of the environment variable: letters, digits and underscores.',
  })
  key!: string

  @Field(() => String, { description: 'Its value. Stored encrypted, masked in logs, never shown again.' })
  value!: string

  @Field(() => Boolean, {
    nullable: true,
    description:
      'For builds alone: steps mount it (RUN --mount=type=secret,id=KEY), and the container does not get it. Needs BuildKit. Left out: as it was, and false for a new one.',
  })
  buildSecret?: boolean | null
}

@InputType('BuildArgInput', {
  description: "The value of an ARG of the Dockerfile. It stays in the image's history: nothing secret.",
})
export class BuildArgInput {
  @Field(() => String, { description: 'The name of the ARG.' })
  key!: string

  @Field(() => String, { description: 'Its value.' })
  value!: string
}

@InputType('CreateAppInput', { description: 'A new app.' })
export class CreateAppInput {
  @Field(() => String, {
    description:
      'A DNS label: a-z, 0-9 and inner single hyphens, 1 to 32 characters, begins with a letter. Unique.',
  })
  name!: string

  @Field(() => String, {
    description: 'https://, ssh:// or git@host:path. file:// only where ALLOW_FILE_REPOS=true.',
  })
  repoUrl!: string

  @Field(() => String, {
    description: "The branch to deploy. Null: the remote's default branch.",
    nullable: true,
  })
  branch?: string | null

  @Field(() => String, {
    nullable: true,
    defaultValue: 'Dockerfile',
    description: 'Relative to contextPath.',
  })
  dockerfilePath?: string | null

  @Field(() => String, {
    nullable: true,
    defaultValue: '.',
    description: "Relative to the repository's root.",
  })
  contextPath?: string | null

  @Field(() => String, {
    nullable: true,
    description: 'The stage of the Dockerfile to build (FROM … AS name). Null: the last one.',
  })
  target?: string | null

  @Field(() => [BuildArgInput], { description: 'Build arguments.', nullable: true, defaultValue: [] })
  buildArgs?: BuildArgInput[] | null

  @Field(() => String, {
    nullable: true,
    description: "os/arch or os/arch/variant, as linux/amd64. Null: the Docker engine's own.",
  })
  platform?: string | null

  @Field(() => Int, {
    nullable: true,
    description: 'Where its container listens. Default: the one port that the image exposes, else 80.',
  })
  port?: number | null

  @Field(() => [String], {
    nullable: true,
    description:
      'Globs such as apps/web/**; !docs/** takes back, the last match decides. A push that changes nothing below them deploys nothing. Empty: every push counts.',
  })
  watchPaths?: string[] | null

  @Field(() => [VariableInput], {
    description: 'Variables of the production stage.',
    nullable: true,
    defaultValue: [],
  })
  variables?: VariableInput[] | null

  @Field(() => Boolean, {
    nullable: true,
    defaultValue: true,
    description: 'Make the first deployment at once.',
  })
  deploy?: boolean | null
}

@InputType('UpdateAppInput', {
  description:
    'Changes to an app. What is left out stays as it is; changes take effect with the next deployment.',
})
export class UpdateAppInput {
  @Field(() => String, {
    description: 'https://, ssh:// or git@host:path. file:// only where ALLOW_FILE_REPOS=true.',
    nullable: true,
  })
  repoUrl?: string | null

  @Field(() => String, {
    description: "The branch to deploy. Null: the remote's default branch.",
    nullable: true,
  })
  branch?: string | null

  @Field(() => String, { description: 'Relative to contextPath. Null: Dockerfile.', nullable: true })
  dockerfilePath?: string | null

  @Field(() => String, { description: "Relative to the repository's root. Null: the root.", nullable: true })
  contextPath?: string | null

  @Field(() => String, {
    nullable: true,
    description: 'The stage of the Dockerfile to build (FROM … AS name). Null: the last one.',
  })
  target?: string | null

  @Field(() => [BuildArgInput], { nullable: true, description: 'All of them, in place of those before.' })
  buildArgs?: BuildArgInput[] | null

  @Field(() => String, {
    nullable: true,
    description: "os/arch or os/arch/variant, as linux/amd64. Null: the Docker engine's own.",
  })
  platform?: string | null

  @Field(() => Int, { nullable: true, description: 'Null: what the image exposes.' })
  port?: number | null

  @Field(() => [String], { nullable: true, description: 'Null: every push counts.' })
  watchPaths?: string[] | null
}

@InputType('DeployInput', { description: 'What to deploy, and how.' })
export class DeployInput {
  @Field(() => String, { description: 'Name of the stage.', nullable: true, defaultValue: 'production' })
  stage?: string | null

  @Field(() => String, { nullable: true, description: 'A branch, a tag or a full commit id.' })
  ref?: string | null

  @Field(() => Boolean, {
    nullable: true,
    defaultValue: false,
    description: 'Build without the layer cache.',
  })
  noCache?: boolean | null

  @Field(() => String, {
    nullable: true,
    description: "A second call with the same key answers with the first call's deployment.",
  })
  idempotencyKey?: string | null
}

@InputType('HealthCheckInput', {
  description: 'Changes to a health check. What is left out stays as it is; null resets to the default.',
})
export class HealthCheckInput {
  @Field(() => String, {
    nullable: true,
    description:
      "GET this path; 200 to 399 is healthy. Null: the image's HEALTHCHECK if it has one, else TCP.",
  })
  path?: string | null

  @Field(() => Int, { description: 'Seconds between two checks.', nullable: true })
  intervalSeconds?: number | null

  @Field(() => Int, { description: 'Seconds that one check may take.', nullable: true })
  timeoutSeconds?: number | null

  @Field(() => Int, {
    description: 'Seconds until a version that does not become healthy has failed.',
    nullable: true,
  })
  deadlineSeconds?: number | null

  @Field(() => Int, {
    description:
      'How long it must stay healthy before traffic moves. Null: 3 when it replaces a serving version, 0 when nothing serves yet.',
    nullable: true,
  })
  stableSeconds?: number | null
}

@InputType('LimitsInput', {
  description: 'Changes to limits. What is left out stays as it is; null resets to the default.',
})
export class LimitsInput {
  @Field(() => Float, {
    description: 'Memory, in bytes. A container that needs more is killed (OUT_OF_MEMORY).',
    nullable: true,
  })
  memoryBytes?: number | null

  @Field(() => Float, { description: 'Processors; fractions are allowed.', nullable: true })
  cpus?: number | null

  @Field(() => Int, { description: 'Processes and threads.', nullable: true })
  pids?: number | null
}

@InputType('UpdateStageInput', {
  description: 'What is left out stays as it is; null resets to the default.',
})
export class UpdateStageInput {
  @Field(() => String, { description: "The branch that it follows. Null: the app's.", nullable: true })
  branch?: string | null

  @Field(() => String, {
    nullable: true,
    description: 'A glob such as v*: pushed tags that match are deployed, and pushed branches are not.',
  })
  tags?: string | null

  @Field(() => Int, { description: 'How many containers serve.', nullable: true })
  replicas?: number | null

  @Field(() => Boolean, { description: 'Whether pushes are deployed by the webhook.', nullable: true })
  autoDeploy?: boolean | null

  @Field(() => HealthCheckInput, { description: 'How new versions are checked.', nullable: true })
  healthCheck?: HealthCheckInput | null

  @Field(() => LimitsInput, { description: 'What each container may use.', nullable: true })
  limits?: LimitsInput | null
}
