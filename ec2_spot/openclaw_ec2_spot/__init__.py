"""The disposable half of openclaw-lab: network, role, one spot instance that replaces itself, dashboard, alarms."""
