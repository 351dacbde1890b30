import { Field, Float, InputType, Int } from 'type-graphql'

@InputType('VariableInput')
export class VariableInput {
  @Field(() => String)
  key!: string

  @Field(() => String)
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
  @Field(() => String)
  key!: string

  @Field(() => String)
  value!: string
}

@InputType('CreateAppInput')
export class CreateAppInput {
  @Field(() => String)
  name!: string

  @Field(() => String, {
    description: 'https://, ssh:// or git@host:path. file:// only where ALLOW_FILE_REPOS=true.',
  })
  repoUrl!: string

  @Field(() => String, { nullable: true })
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

  @Field(() => [BuildArgInput], { nullable: true, defaultValue: [] })
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

  @Field(() => [VariableInput], { nullable: true, defaultValue: [] })
  variables?: VariableInput[] | null

  @Field(() => Boolean, {
    nullable: true,
    defaultValue: true,
    description: 'Make the first deployment at once.',
  })
  deploy?: boolean | null
}

@InputType('UpdateAppInput')
export class UpdateAppInput {
  @Field(() => String, { nullable: true })
  repoUrl?: string | null

  @Field(() => String, { nullable: true })
  branch?: string | null

  @Field(() => String, { nullable: true })
  dockerfilePath?: string | null

  @Field(() => String, { nullable: true })
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

@InputType('DeployInput')
export class DeployInput {
  @Field(() => String, { nullable: true, defaultValue: 'production' })
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

@InputType('HealthCheckInput')
export class HealthCheckInput {
  @Field(() => String, {
    nullable: true,
    description:
      "GET this path; 200 to 399 is healthy. Null: the image's HEALTHCHECK if it has one, else TCP.",
  })
  path?: string | null

  @Field(() => Int, { nullable: true })
  intervalSeconds?: number | null

  @Field(() => Int, { nullable: true })
  timeoutSeconds?: number | null

  @Field(() => Int, { nullable: true })
  deadlineSeconds?: number | null

  @Field(() => Int, { nullable: true })
  stableSeconds?: number | null
}

@InputType('LimitsInput')
export class LimitsInput {
  @Field(() => Float, { nullable: true })
  memoryBytes?: number | null

  @Field(() => Float, { nullable: true })
  cpus?: number | null

  @Field(() => Int, { nullable: true })
  pids?: number | null
}

@InputType('UpdateStageInput', {
  description: 'What is left out stays as it is; null resets to the default.',
})
export class UpdateStageInput {
  @Field(() => String, { nullable: true })
  branch?: string | null

  @Field(() => String, {
    nullable: true,
    description: 'A glob such as v*: pushed tags that match are deployed, and pushed branches are not.',
  })
  tags?: string | null

  @Field(() => Int, { nullable: true })
  replicas?: number | null

  @Field(() => Boolean, { nullable: true })
  autoDeploy?: boolean | null

  @Field(() => HealthCheckInput, { nullable: true })
  healthCheck?: HealthCheckInput | null

  @Field(() => LimitsInput, { nullable: true })
  limits?: LimitsInput | null
}
