"""Campaigns whose process is killed, and stores whose disk, server or clock fails."""
