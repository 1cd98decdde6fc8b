# frozen_string_literal: true

require "securerandom"
require "time"

class LiveMonitoring
  # What the agents do: each call returns at once and never raises.
  module Runs
    # A whole run, which began at `started_at`; `run_id` and `ended_at` are made where they are left out. Its run_id.
    def log_agent_run(fields = {})
      log_run(fields, "ended_at")
    end

    # A run begins; `run_id` and `started_at` are made where they are left out. Its run_id.
    def log_agent_run_start(fields = {})
      log_run(fields, "started_at")
    end

    # The run `run_id` ended in `resolution`; what was said at its start need not be said again.
    def log_agent_run_end(fields = {})
      log_run(fields, "ended_at")
    end

    # A human's quality score of a run; `review_id` is made where neither it nor a `reviewer` is given.
    def log_agent_qc(fields = {})
      named = fields.is_a?(Hash) && (fields[:reviewer] || fields["reviewer"])
      report(AGENT_QC, fields, *(named ? [] : ["review_id"]))
    end

    # Logs the start and the end of what is in the block, whose value it gives. The run ends resolved, or as
    # `run.escalate` and `run.fail` say; what is raised or thrown makes it failed, and goes on.
    def run(fields = {})
      run = Run.new(fields)
      log_agent_run_start(run.start)
      over = false
      value = yield run
      over = true
      value
    ensure
      log_agent_run_end(run.ending(over)) if run
    end

    private

    def log_run(fields, time)
      fields = fields.is_a?(Hash) ? fields.transform_keys(&:to_s) : {}
      fields["run_id"] = (fields["run_id"] || SecureRandom.uuid).to_s
      report(AGENT_RUN, fields, time)
      fields["run_id"]
    rescue StandardError # theirs: what is not a name of a run is refused where it is reported
      report(AGENT_RUN, {"run_id" => fields.class.name}, time)
      SecureRandom.uuid
    end
  end

  # A run in hand. What is in `fields` is said at its end: run.fields[:tokens_input] = 812.
  class Run
    attr_reader :run_id, :fields, :start

    def initialize(fields)
      fields = fields.is_a?(Hash) ? fields.transform_keys(&:to_s) : {}
      @run_id = fields["run_id"] || SecureRandom.uuid
      @start = {"started_at" => Time.now.utc.iso8601(6)}.merge(fields, "run_id" => @run_id)
      @fields = {}
      @resolution = "resolved"
    end

    # It ends with a human; say handoff_expected: true where that is how it should be.
    def escalate(**more)
      @resolution = "escalated"
      @fields.update(more)
    end

    # It ends without what it was for, though nothing was raised.
    def fail(**more)
      @resolution = "failed"
      @fields.update(more)
    end

    # All of it once more, so that it is whole also where its start was lost. `over`: the block came to its end.
    def ending(over)
      said = @start.merge({"resolution" => @resolution}, @fields.transform_keys(&:to_s), "run_id" => @run_id)
      over ? said : said.merge("resolution" => "failed")
    end
  end
end
