"""Others at our side in the same run: Alertmanager, Django REST framework, a stock Channels consumer."""
