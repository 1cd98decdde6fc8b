# frozen_string_literal: true

require "json"
require "uri"

class LiveMonitoring
  # Whether a human could come now: asked before a bot promises one.
  module Availability
    LONGEST = 1.5 # seconds that a customer waits for this
    KEPT = 15.0 # seconds that an answer holds
    KEPT_TROUBLE = 5.0 # seconds until somebody is asked again who did not answer
    AGENTS_KEPT = 1_000

    # The answer of GET /api/availability as a Hash, at most 15 s old: "on_duty", "reachable", "expected_wait_seconds",
    # "n", "next_duty_at". Waits at most 1.5 s for it, never raises; nil for no answer, whatever the reason.
    def availability(agent, org_id: nil)
      mine
      key = [agent.to_s, org_id&.to_s]
      known = kept_answer(key) || @asking.synchronize { kept_answer(key) || keep_answer(key, @who.get(path_of(*key))) }
      known.last
    rescue StandardError
      nil
    end

    private

    # [until, answer]
    def kept_answer(key)
      known = @answers[key]
      known if known && known.first > now
    end

    def keep_answer(key, found)
      found = nil unless found.is_a?(Hash) && %w[on_duty reachable n].all? { |name| found[name].is_a?(Integer) }
      @answers.clear if @answers.size >= AGENTS_KEPT
      @answers[key] = [now + (found ? KEPT : KEPT_TROUBLE), found]
    end

    def path_of(agent, org_id)
      query = {"agent" => agent, "org_id" => org_id}.compact
      "/api/availability?#{URI.encode_www_form(query)}"
    end
  end
end
